"""Ends a training whose loss or gradients grow out of bounds."""

from __future__ import annotations

from trainer_module.callbacks.base import Callback, Training, Values
from trainer_module.config import ExplosionConfig
from trainer_module.numerics import Bound, ExplosionError
from trainer_module.objective import LOSS


class Explosion(Callback):
    """Fails when the mean of a value over a call's steps is above a bound.

    Of an adversarial task the gradient norms of all players are watched. The loop then looks for
    the step and the layer.
    """

    def __init__(self, config: ExplosionConfig) -> None:
        self._config = config
        self._last = 0

    def on_train_begin(self, training: Training) -> None:
        self._last = training.resumed_from

    def on_call_end(self, step: int, values: Values) -> None:
        first, self._last = self._last, step
        value, above = self._config.value, self._config.above
        for name, found in values.items():
            if name != value and not (value != LOSS and name.startswith(f"{value}/")):
                continue
            if found > above:
                raise ExplosionError(
                    f"train.callbacks.stop_on_explosion: found {name} {found:.6g}, the mean of "
                    f"steps {first} to {step - 1}; allowed: at most {above:g}; lower "
                    "train.optimizer.learning_rate, or clip gradients (train.clip)",
                    Bound(name, above),
                )
