"""Finds the best parameters by load tests: candidates from the curve, then steps from the best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from serving.config import BatchingConfig
from serving.load import LoadResult
from serving.tuning.candidates import BatchCost, first_candidates, neighbours

Measure = Callable[[BatchingConfig], LoadResult]


@dataclass(frozen=True)
class Trial:
    """Parameters, and what a load test of them gave."""

    config: BatchingConfig
    result: LoadResult

    def meets(self, target_ms: float) -> bool:
        """Returns whether every request was answered, 99 of 100 within the target."""
        return (
            self.result.requests > 0
            and not self.result.errors
            and (self.result.p99_ms <= target_ms)
        )


def search(
    curve: Sequence[BatchCost],
    target_ms: float,
    clients: int,
    cores: int,
    measure: Measure,
    steps: int = 2,
) -> list[Trial]:
    """Returns what was tried, the best first: those that meet the target, by their throughput.

    Those that do not follow, by their latency.

    Args:
        measure: a load test of `clients` clients.
        steps: how often to try the neighbours of the best so far.

    Raises:
        serving.tuning.candidates.TargetOutOfReach: if the model alone is too slow.
    """
    trials = [
        Trial(config, measure(config))
        for config in first_candidates(curve, target_ms, clients, cores)
    ]
    for _ in range(steps):
        trials.sort(key=lambda trial: _rank(trial, target_ms))
        tried = [trial.config for trial in trials]
        near = neighbours(trials[0].config, curve, target_ms, clients)
        trials += [Trial(config, measure(config)) for config in near if config not in tried]
    return sorted(trials, key=lambda trial: _rank(trial, target_ms))


def _rank(trial: Trial, target_ms: float) -> tuple[bool, float]:
    meets = trial.meets(target_ms)
    if not trial.result.requests:
        return True, float("inf")
    return not meets, -trial.result.throughput if meets else trial.result.p99_ms
