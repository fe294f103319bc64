"""Dynamic loss scaling, without which the gradients of float16 vanish or overflow."""

from __future__ import annotations

import tensorflow as tf

_INITIAL = 2.0**15
_GROWTH_STEPS = 2000


class LossScale(tf.Module):
    """A factor that doubles after 2,000 good steps and halves at each that overflows.

    Micikevicius et al., Mixed Precision Training (arXiv:1710.03740), section 3.2. Made under the
    strategy's scope; every replica comes to the same scale, from the same summed gradients.
    """

    def __init__(self) -> None:
        super().__init__(name="loss_scale")
        self.scale = tf.Variable(_INITIAL, trainable=False, name="scale")
        self.good_steps = tf.Variable(0, trainable=False, dtype=tf.int32, name="good_steps")

    def read(self) -> tf.Tensor:
        """Returns this replica's scale, float32 scalar."""
        return self.scale.read_value()

    def update(self, finite: tf.Tensor) -> None:
        """Moves the scale after a step, called in a replica; `finite`: bool scalar."""
        scale, good = self.scale.read_value(), self.good_steps.read_value() + 1
        grown = tf.where(good >= _GROWTH_STEPS, scale * 2.0, scale)
        next_scale = tf.where(finite, grown, tf.maximum(scale / 2.0, 1.0))
        next_good = tf.where(tf.logical_and(finite, good < _GROWTH_STEPS), good, 0)
        tf.raw_ops.AssignVariableOp(resource=self.scale.handle, value=next_scale)
        tf.raw_ops.AssignVariableOp(resource=self.good_steps.handle, value=next_good)
