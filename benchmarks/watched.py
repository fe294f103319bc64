"""A command in a process of its own: what it says, how long it takes, and the memory of it all."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psutil

_STEP = 0.2


@dataclass(frozen=True)
class Watched:
    """A command that ended well.

    Attributes:
        seconds: wall time of the process, its start included.
        peak_mib: the most that its processes, and the others that count, held together.
    """

    stdout: str
    seconds: float
    peak_mib: float


def watch(
    command: Sequence[str], env: Mapping[str, str] | None = None, others: Sequence[int] = ()
) -> Watched:
    """Runs a command to its end.

    Args:
        env: the whole environment; None: this process's.
        others: processes besides the command's whose memory counts, with their children.

    Raises:
        RuntimeError: if the command fails; the message ends with what it said last.
    """
    began = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    )
    ended = threading.Event()
    peaks = [0.0]

    def sample() -> None:
        while not ended.wait(_STEP):
            peaks.append(sum(_tree_mib(pid) for pid in (process.pid, *others)))

    sampling = threading.Thread(target=sample)
    sampling.start()
    try:
        stdout, stderr = process.communicate()
        seconds = time.monotonic() - began
    finally:
        ended.set()
        sampling.join()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{stderr[-2000:]}")
    return Watched(stdout, seconds, max(peaks))


def _tree_mib(pid: int) -> float:
    """Returns the resident memory of a process and its descendants."""
    try:
        root = psutil.Process(pid)
        processes = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total / 2**20
