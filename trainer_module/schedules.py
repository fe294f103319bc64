"""Learning-rate schedules: the factor of a step, as a function of the loop's own step count.

An optimizer's own count falls behind when an update is skipped; these follow the loop.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf

from trainer_module.config import ScheduleConfig

Schedule = Callable[[tf.Tensor], tf.Tensor]
"""(steps about to be taken, int64 of any shape) -> factors of the learning rate, float32."""


def make_schedule(config: ScheduleConfig, steps_per_epoch: int, total_steps: int) -> Schedule:
    """Returns the schedule of a training: linear warmup up to 1, then the kind that is asked for.

    Warmup leaves at least one step to the kind that follows.

    Factors are computed in float64 and rounded once: a cosine of float32 has other last bits where
    TensorFlow computes eight of them at once than where it computes the last few of a call one by
    one, and the weights would depend on how many steps a call has.
    """
    warmup_steps = min(round(config.warmup_epochs * steps_per_epoch), total_steps - 1)
    after = {
        "constant": lambda: tf.ones_like,
        "piecewise": lambda: _piecewise(config, steps_per_epoch),
        "exponential": lambda: _exponential(config, steps_per_epoch, warmup_steps),
        "cosine": lambda: _cosine(config.final_fraction, warmup_steps, total_steps),
    }[config.kind]()

    def factor(steps: tf.Tensor) -> tf.Tensor:
        steps = tf.cast(steps, tf.float64)
        if warmup_steps == 0:
            return tf.cast(after(steps), tf.float32)
        warmup = (steps + 1.0) / float(warmup_steps)
        return tf.cast(tf.where(steps < warmup_steps, warmup, after(steps)), tf.float32)

    return factor


def _cosine(final_fraction: float, warmup_steps: int, total_steps: int) -> Schedule:
    """Half a cosine from 1 down to `final_fraction` at the last step.

    Loshchilov and Hutter, SGDR (arXiv:1608.03983), eq. 5, one period.
    """
    decay_steps = float(max(1, total_steps - warmup_steps))

    def factor(steps: tf.Tensor) -> tf.Tensor:
        progress = tf.clip_by_value((steps - warmup_steps) / decay_steps, 0.0, 1.0)
        cosine = 0.5 * (1.0 + tf.cos(math.pi * progress))
        return final_fraction + (1.0 - final_fraction) * cosine

    return factor


def _exponential(config: ScheduleConfig, steps_per_epoch: int, warmup_steps: int) -> Schedule:
    """decay_rate to the power of the epochs since warmup over decay_epochs."""
    period = config.decay_epochs * steps_per_epoch

    def factor(steps: tf.Tensor) -> tf.Tensor:
        periods = (steps - warmup_steps) / period
        if config.staircase:
            periods = tf.floor(periods)
        rate = tf.constant(config.decay_rate, steps.dtype)
        return tf.pow(rate, tf.maximum(periods, 0.0))

    return factor


def _piecewise(config: ScheduleConfig, steps_per_epoch: int) -> Schedule:
    """1 up to the first boundary, then the factor of the last boundary passed; epochs from 0."""
    boundaries = [round(epoch * steps_per_epoch) for epoch in config.boundaries]

    def factor(steps: tf.Tensor) -> tf.Tensor:
        value = tf.ones_like(steps)
        for boundary, later in zip(boundaries, config.factors, strict=True):
            value = tf.where(steps >= boundary, tf.constant(later, steps.dtype), value)
        return value

    return factor
