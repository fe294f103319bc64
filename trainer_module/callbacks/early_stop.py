"""Ends a training that no longer gets better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainer_module.callbacks.base import Callback, Training, Values
from trainer_module.callbacks.improvement import Improvement, check_metric
from trainer_module.config import EarlyStopConfig


class EarlyStop(Callback):
    """Stops when a metric of the evaluation has not improved for `patience` epochs.

    What is exported is the best epoch under `train.best`, whenever the training ends.
    """

    def __init__(self, config: EarlyStopConfig) -> None:
        self._config = config
        self._improvement = Improvement(config)
        self._training: Training

    def on_train_begin(self, training: Training) -> None:
        check_metric("train.callbacks.early_stop.metric", self._config.metric, training)
        self._training = training

    def on_epoch_end(self, epoch: int, step: int, train: Values, evaluation: Values) -> None:
        config, improvement = self._config, self._improvement
        improvement.update(evaluation[config.metric])
        if improvement.waited >= config.patience:
            self._training.stop(
                f"{config.metric} no better than {improvement.best:.6g} for {config.patience} "
                f"epochs, at epoch {epoch}"
            )

    def state(self) -> dict[str, Any]:
        return self._improvement.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        self._improvement.restore(state)
