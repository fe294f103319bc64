"""Lowers the learning rate when a training no longer gets better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from trainer_module.callbacks.base import Callback, Training, Values
from trainer_module.callbacks.improvement import Improvement, check_metric
from trainer_module.config import PlateauConfig
from trainer_module.progress import emit


class Plateau(Callback):
    """Multiplies the scheduled rate by `factor` after `patience` epochs without an improvement.

    The factor that has come together is a variable of the training's state, which a checkpoint
    holds; the function of the steps reads it, and is not traced again.
    """

    def __init__(self, config: PlateauConfig) -> None:
        self._config = config
        self._improvement = Improvement(config)
        self._factor: tf.Variable
        self._is_chief = False

    def on_train_begin(self, training: Training) -> None:
        check_metric("train.plateau.metric", self._config.metric, training)
        self._factor = training.state.plateau
        self._is_chief = training.is_chief

    def on_epoch_end(self, epoch: int, step: int, train: Values, evaluation: Values) -> None:
        config, improvement = self._config, self._improvement
        improvement.update(evaluation[config.metric])
        before = float(self._factor.numpy())
        if improvement.waited < config.patience or before <= config.min_factor:
            return
        improvement.waited = 0
        factor = max(before * config.factor, config.min_factor)
        self._factor.assign(factor)
        if self._is_chief:
            emit("plateau", epoch=epoch, step=step, learning_rate_factor=factor)

    def state(self) -> dict[str, Any]:
        return self._improvement.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        self._improvement.restore(state)
