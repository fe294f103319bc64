"""Learning-rate schedules, driven by the loop's own step count.

Keras optimizers count the updates they apply; a skipped update would make a schedule that
follows them fall behind the loop. These read the loop's step variable instead.
"""

from __future__ import annotations

import math

import tensorflow as tf
import tf_keras as keras


class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warmup up to `peak`, then half a cosine down to `peak * final_fraction`.

    The cosine is that of Loshchilov and Hutter, SGDR (arXiv:1608.03983), eq. 5, one period.

    Args:
        step: the loop's step variable, int64 scalar.
        peak: learning rate at the end of warmup.
        warmup_steps: steps of linear warmup; 0 for none.
        total_steps: steps of the whole training.
        final_fraction: rate that the cosine ends at, as a fraction of `peak`.
    """

    def __init__(
        self,
        step: tf.Variable,
        peak: float,
        warmup_steps: int,
        total_steps: int,
        final_fraction: float,
    ) -> None:
        self._step = step
        self._peak = peak
        self._warmup_steps = warmup_steps
        self._decay_steps = max(1, total_steps - warmup_steps)
        self._final_fraction = final_fraction

    def __call__(self, _optimizer_iterations: tf.Tensor) -> tf.Tensor:
        """Returns the rate of the step about to be taken, float32 scalar."""
        step = tf.cast(self._step, tf.float32)
        warmup = (step + 1.0) / float(max(1, self._warmup_steps))
        progress = tf.clip_by_value((step - self._warmup_steps) / self._decay_steps, 0.0, 1.0)
        cosine = 0.5 * (1.0 + tf.cos(math.pi * progress))
        decayed = self._final_fraction + (1.0 - self._final_fraction) * cosine
        return self._peak * tf.where(step < self._warmup_steps, warmup, decayed)

    def get_config(self) -> dict[str, float]:
        return {
            "peak": self._peak,
            "warmup_steps": self._warmup_steps,
            "decay_steps": self._decay_steps,
            "final_fraction": self._final_fraction,
        }
