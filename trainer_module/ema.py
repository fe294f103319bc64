"""An exponential moving average of the weights, evaluated and exported in their place."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf


class WeightAverage(tf.Module):
    """Follows trainable variables; made under the strategy's scope.

    average <- d * average + (1 - d) * weight, with d = min(momentum, (1 + n) / (10 + n)) at step
    n, so that the first weights, which mean little, are soon forgotten; that is the rule of
    `tf.train.ExponentialMovingAverage`.
    """

    def __init__(self, variables: Sequence[tf.Variable], momentum: float) -> None:
        super().__init__(name="ema")
        self._variables = tuple(variables)
        self._momentum = momentum
        extended = tf.distribute.get_strategy().extended
        self.averages = []
        for variable in variables:
            with extended.colocate_vars_with(variable):
                # The initial value must be a copy: the variable moves on.
                average = tf.Variable(tf.zeros(variable.shape, variable.dtype), trainable=False)
            average.assign(variable.read_value())
            self.averages.append(average)

    def update(self, step: tf.Tensor) -> None:
        """Moves this replica's averages; `step` is the one just taken, int64 scalar."""
        n = tf.cast(step, tf.float32)
        rest = 1.0 - tf.minimum(self._momentum, (1.0 + n) / (10.0 + n))
        for average, variable in zip(self.averages, self._variables, strict=True):
            difference = average.read_value() - variable.read_value()
            tf.raw_ops.AssignSubVariableOp(resource=average.handle, value=difference * rest)

    def swap(self) -> None:
        """Exchanges weights and averages, called outside a replica; twice is as it was."""
        for average, variable in zip(self.averages, self._variables, strict=True):
            before = tf.identity(variable.read_value())
            variable.assign(average.read_value())
            average.assign(before)
