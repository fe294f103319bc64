"""Which batching parameters are worth a load test, by the curve of a model's latency."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from serving.config import BatchingConfig

_SAME_COST = 1.05
"""Sizes whose calls take as long are one: the smaller is padded to the larger for nothing."""

_KNEE = 0.9
"""A size that gives this part of the most rows a second that any gives is large enough."""

_SHORTEST_TIMEOUT = 100
"""Microseconds; less than a turn of an event loop, or of a thread's wakeup, is no wait."""


@dataclass(frozen=True)
class BatchCost:
    """What a call of one batch size costs, without a server around it."""

    size: int
    median_ms: float
    p99_ms: float

    @property
    def rows_per_second(self) -> float:
        return self.size / self.median_ms * 1e3


class TargetOutOfReach(ValueError):
    """No parameters can meet the target, since the model alone takes too long."""


def first_candidates(
    curve: Sequence[BatchCost], target_ms: float, clients: int, cores: int
) -> list[BatchingConfig]:
    """Returns the parameters to begin a search with, the most promising first.

    Args:
        curve: by increasing size, from 1 on.
        target_ms: that 99 of 100 requests are to be answered in.
        clients: who ask at once, each one row at a time.

    Raises:
        TargetOutOfReach: if a batch of one takes longer than the target.
    """
    usable = usable_sizes(curve, target_ms, clients)
    most = max(cost.rows_per_second for cost in usable)
    knee = next(cost for cost in usable if cost.rows_per_second >= _KNEE * most)
    found = []
    for largest in (usable[-1], knee):
        slack = _slack_micros(largest, target_ms)
        for timeout in (min(slack, _micros(largest.median_ms)), 0):
            for threads in (cores, 1):
                found.append(_parameters(curve, largest, timeout, threads, target_ms, clients))
    return _unique(found)


def neighbours(
    config: BatchingConfig, curve: Sequence[BatchCost], target_ms: float, clients: int
) -> list[BatchingConfig]:
    """Returns parameters one step from `config`: half and twice the wait, the sizes beside it."""
    usable = usable_sizes(curve, target_ms, clients)
    place = next(index for index, cost in enumerate(usable) if cost.size == config.max_batch_size)
    here, threads = usable[place], config.num_batch_threads
    timeout = config.batch_timeout_micros
    slack = _slack_micros(here, target_ms)
    longer = min(slack, 2 * max(timeout, _SHORTEST_TIMEOUT))
    steps = [(here, longer, threads)]
    if timeout:
        steps.append((here, timeout // 2 if timeout // 2 >= _SHORTEST_TIMEOUT else 0, threads))
    for beside in usable[max(0, place - 1) : place + 2]:
        steps.append((beside, min(timeout, _slack_micros(beside, target_ms)), threads))
    found = [
        _parameters(curve, cost, micros, count, target_ms, clients) for cost, micros, count in steps
    ]
    return [candidate for candidate in _unique(found) if candidate != config]


def with_options(config: BatchingConfig, present: BatchingConfig) -> BatchingConfig:
    """Returns tuned parameters with the options that a version has switched on.

    A curve says nothing of them, and a model, or its clients, may need them. Where large requests
    are split, those of `present` are taken still: what was tuned is the size of the parts.
    """
    options: dict[str, Any] = {"pad_variable_length_inputs": present.pad_variable_length_inputs}
    if present.enable_large_batch_splitting:
        largest = max(config.max_batch_size, present.max_batch_size)
        options |= {
            "enable_large_batch_splitting": True,
            "max_execution_batch_size": config.max_batch_size,
            "max_batch_size": largest,
            "allowed_batch_sizes": sorted({*config.allowed_batch_sizes, largest}),
        }
    return config.model_copy(update=options)


def usable_sizes(curve: Sequence[BatchCost], target_ms: float, clients: int) -> list[BatchCost]:
    """Returns the sizes that could meet the target: a request waits for one batch and its own.

    Sizes that the clients together could never fill are left out.

    Raises:
        TargetOutOfReach: if there is none.
    """
    smallest = curve[0]
    if smallest.p99_ms > target_ms:
        raise TargetOutOfReach(
            f"a call of one row alone takes {smallest.p99_ms:.2f} ms in 99 of 100 cases"
        )
    fillable = [cost for cost in curve if cost.size <= clients] or [smallest]
    return [cost for cost in fillable if 2 * cost.p99_ms <= target_ms] or [smallest]


def allowed_sizes(curve: Sequence[BatchCost], largest: int) -> list[int]:
    """Returns the sizes to pad batches to, the last one `largest`.

    Each has to be warmed up and kept, so that one is left out whose call takes no less time than
    that of the next.
    """
    kept: list[BatchCost] = []
    for cost in reversed([cost for cost in curve if cost.size <= largest]):
        if not kept or cost.median_ms * _SAME_COST < kept[-1].median_ms:
            kept.append(cost)
    return [cost.size for cost in reversed(kept)]


def _parameters(
    curve: Sequence[BatchCost],
    largest: BatchCost,
    timeout_micros: int,
    threads: int,
    target_ms: float,
    clients: int,
) -> BatchingConfig:
    return BatchingConfig(
        max_batch_size=largest.size,
        allowed_batch_sizes=allowed_sizes(curve, largest.size),
        batch_timeout_micros=timeout_micros,
        num_batch_threads=threads,
        max_enqueued_batches=_queue_length(largest, threads, target_ms, clients),
    )


def _queue_length(largest: BatchCost, threads: int, target_ms: float, clients: int) -> int:
    """Returns how many batches may wait: those that are run within the target, not more.

    A request that would be answered too late is better refused at once, when its client can ask
    elsewhere. Every one of the clients has a place, though its batch may hold it alone.
    """
    in_time = math.floor(threads * target_ms / largest.median_ms)
    return max(clients, in_time)


def _slack_micros(largest: BatchCost, target_ms: float) -> int:
    """Returns how long a batch may wait to be filled, microseconds."""
    return _micros(max(0.0, target_ms - 2 * largest.p99_ms))


def _micros(milliseconds: float) -> int:
    return int(milliseconds * 1e3)


def _unique(configs: Sequence[BatchingConfig]) -> list[BatchingConfig]:
    unique: list[BatchingConfig] = []
    for config in configs:
        if config not in unique:
            unique.append(config)
    return unique
