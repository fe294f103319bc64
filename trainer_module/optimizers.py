"""The optimizer of a training, made from its configuration."""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras

from trainer_module.config import OptimizerConfig
from trainer_module.schedules import WarmupCosine


def make_optimizer(
    config: OptimizerConfig, step: tf.Variable, steps_per_epoch: int, total_steps: int
) -> keras.optimizers.Optimizer:
    """Returns AdamW (arXiv:1711.05101) whose rate follows `step`; biases are not decayed."""
    schedule = WarmupCosine(
        step=step,
        peak=config.learning_rate,
        warmup_steps=min(round(config.warmup_epochs * steps_per_epoch), total_steps - 1),
        total_steps=total_steps,
        final_fraction=config.final_fraction,
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=config.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer
