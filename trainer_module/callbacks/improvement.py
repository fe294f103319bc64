"""Whether a metric still gets better, which stopping early and a plateau both ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainer_module.callbacks.base import Training
from trainer_module.config import EarlyStopConfig, PlateauConfig


class Improvement:
    """Counts the epochs since a metric was last better than ever by more than `min_delta`.

    Attributes:
        waited: epochs since.
    """

    def __init__(self, config: EarlyStopConfig | PlateauConfig) -> None:
        self._sign = 1.0 if config.mode == "min" else -1.0
        self._min_delta = config.min_delta
        self.best: float | None = None
        self.waited = 0

    def update(self, value: float) -> None:
        """Takes the metric of an epoch."""
        if self.best is None or self._sign * (self.best - value) > self._min_delta:
            self.best = value
            self.waited = 0
        else:
            self.waited += 1

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.best = state["best"]
        self.waited = state["waited"]


def check_metric(key: str, metric: str, training: Training) -> None:
    """Holds a metric's name to those that an evaluation returns.

    Raises:
        ValueError: naming the key, if there is none of that name.
    """
    if metric not in training.names:
        allowed = ", ".join(sorted(training.names))
        raise ValueError(f"{key}: found {metric!r}; allowed: {allowed}")
