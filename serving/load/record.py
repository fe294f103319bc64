"""What the clients of a load saw."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class LoadResult:
    """The answers of one load; latencies are of those that succeeded.

    Attributes:
        requests: answered with success.
        errors: how many others, by HTTP status, gRPC code, or `connection`.
        seconds: from the end of the warmup to the end of the load.
        p50_ms: median latency, milliseconds; NaN if nothing succeeded.
        p99_ms: the latency that 99 of 100 requests keep under.
        total: answers of any kind, those to the warmup and at the end included; what the server's
            time over the whole load is divided by.
    """

    requests: int
    errors: Mapping[str, int]
    seconds: float
    p50_ms: float
    p99_ms: float
    total: int

    @property
    def throughput(self) -> float:
        """Successful requests a second."""
        return self.requests / self.seconds


@dataclass
class Record:
    """Collects requests that begin and end within a window of a monotonic clock's seconds."""

    start: float
    end: float
    latencies: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    total: int = 0

    def add(self, began: float, ended: float, error: str | None = None) -> None:
        self.total += 1
        if began < self.start or ended > self.end:
            return
        if error is None:
            self.latencies.append(ended - began)
        else:
            self.errors[error] += 1

    def result(self) -> LoadResult:
        ordered = sorted(self.latencies)
        return LoadResult(
            requests=len(ordered),
            errors=dict(self.errors),
            seconds=self.end - self.start,
            p50_ms=percentile(ordered, 50) * 1e3,
            p99_ms=percentile(ordered, 99) * 1e3,
            total=self.total,
        )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Returns the smallest value that `percent` of the ordered values do not exceed; NaN of none.

    The nearest rank: always a value that was measured.
    """
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
