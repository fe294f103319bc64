"""Tells people where a training is."""

from __future__ import annotations

import time

from trainer_module.callbacks.base import Callback, Training, Values
from trainer_module.callbacks.layer_report import without_norms
from trainer_module.progress import emit


class Progress(Callback):
    """Tells where the training is, at most every `interval` seconds and at each epoch's end."""

    chief_only = True

    def __init__(self, interval: float = 0.2) -> None:
        self._interval = interval
        self._last = 0.0
        self._first_step = 0
        self._began = 0.0
        self._total = 0
        self._steps_per_epoch = 1

    def on_train_begin(self, training: Training) -> None:
        self._first_step, self._total = training.resumed_from, training.total_steps
        self._steps_per_epoch = training.steps_per_epoch
        self._began = time.monotonic()
        emit(
            "train_begin",
            step=self._first_step,
            total_steps=self._total,
            steps_per_epoch=self._steps_per_epoch,
        )

    def on_call_end(self, step: int, values: Values) -> None:
        now = time.monotonic()
        if now - self._last < self._interval:
            return
        self._last = now
        emit(
            "train_step",
            step=step,
            total_steps=self._total,
            epoch=-(-step // self._steps_per_epoch),
            steps_per_second=round((step - self._first_step) / (now - self._began), 1),
            values={name: round(value, 6) for name, value in without_norms(values).items()},
        )

    def on_epoch_end(self, epoch: int, step: int, train: Values, evaluation: Values) -> None:
        means = without_norms(train)
        emit("epoch_end", epoch=epoch, step=step, train=means, eval=dict(evaluation))
