"""One load, and what it cost the server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.serving.tools import make_load
from serving.load import Call, LoadResult, run_load

_WARMUP = 0.5


@dataclass(frozen=True)
class Measured:
    """What clients saw, and microseconds of all CPUs that the server took for a request."""

    load: LoadResult
    cpu_us: float


class RequestsFailed(RuntimeError):
    """A benchmark of refusals would be fast and worth nothing."""


def measure(pid: int, call: Call, clients: int, seconds: float, folder: Path) -> Measured:
    """Makes a load on the server whose process is `pid`, its children counted in.

    Raises:
        RequestsFailed: if a request was not answered with success.
    """
    # By our own generator, which sees a refusal by gRPC behind HTTP's 200.
    _check(run_load(call, clients, _WARMUP, warmup=0.0), least=0)
    before = cpu_seconds(pid)
    load = make_load(call, clients, seconds, folder)
    spent = cpu_seconds(pid) - before
    _check(load, least=1)
    return Measured(load, spent / load.total * 1e6)


def _check(load: LoadResult, least: int) -> None:
    if load.errors or load.requests < least:
        raise RequestsFailed(f"{load.requests} requests succeeded; errors: {dict(load.errors)}")


def cpu_seconds(pid: int) -> float:
    """Returns the time on CPUs of a process and its living children."""
    process = psutil.Process(pid)
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return sum(found.user + found.system for found in times)
