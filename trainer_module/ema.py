"""An exponential moving average of the weights, evaluated and exported in their place."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from trainer_module.packing import Packing


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
        self._packing = Packing(variables)
        extended = tf.distribute.get_strategy().extended
        self.averages = []
        for value in self._packing.pack([variable.read_value() for variable in variables]):
            with extended.colocate_vars_with(variables[0]):
                self.averages.append(tf.Variable(tf.identity(value), trainable=False))

    def update(self, step: tf.Tensor) -> None:
        """Moves this replica's averages; `step` is the one just taken, int64 scalar."""
        # 1 - d
        rest = tf.maximum(1.0 - self._momentum, 9.0 / (10.0 + tf.cast(step, tf.float32)))
        for average, weight in zip(self.averages, self._weights(), strict=True):
            value = average.value()
            # Set, not moved: workers that do this side by side would move it beyond the weights.
            moved = value - (value - weight) * rest
            tf.raw_ops.AssignVariableOp(resource=average.handle, value=moved)

    def swap(self) -> None:
        """Exchanges weights and averages, called outside a replica; twice is as it was."""
        weights = [tf.identity(weight) for weight in self._weights()]
        averages = self._packing.unpack([average.read_value() for average in self.averages])
        for variable, average in zip(self._variables, averages, strict=True):
            variable.assign(average)
        for average, weight in zip(self.averages, weights, strict=True):
            average.assign(weight)

    def _weights(self) -> list[tf.Tensor]:
        return self._packing.pack([variable.value() for variable in self._variables])
