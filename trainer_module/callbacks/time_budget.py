"""Ends a training when its time is used up."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from trainer_module.callbacks.base import Callback, Training, Values


class TimeBudget(Callback):
    """Stops at the first call's end past so many minutes of training.

    The time that a training took before it was resumed counts, up to its checkpoint.

    Args:
        clock: seconds that only grow.
    """

    chief_only = True

    def __init__(self, minutes: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._minutes = minutes
        self._clock = clock
        self._before = 0.0
        self._began: float | None = None
        self._training: Training

    def on_train_begin(self, training: Training) -> None:
        self._training = training
        self._began = self._clock()

    def on_call_end(self, step: int, values: Values) -> None:
        if self._used() > self._minutes * 60:
            self._training.stop(f"the {self._minutes:g} minutes of its time are used up")

    def state(self) -> dict[str, Any]:
        return {"seconds": self._used()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._before = state["seconds"]

    def _used(self) -> float:
        """Returns the seconds of training so far."""
        return self._before + (0.0 if self._began is None else self._clock() - self._began)
