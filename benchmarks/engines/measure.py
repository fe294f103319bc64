"""One run of the data nodes in a process of its own: seconds, and the memory of all it takes."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.watched import watch


@dataclass(frozen=True)
class Cost:
    """Of the data nodes.

    Attributes:
        seconds: wall time of the nodes, one after the other.
        peak_mib: the most that the processes of the run and of the cluster held together.
    """

    seconds: float
    peak_mib: float


def measure(config: str, overrides: Sequence[str], others: Sequence[int] = ()) -> Cost:
    """Runs the data nodes.

    Args:
        others: processes besides the run's whose memory counts, with their children.

    Raises:
        RuntimeError: if the run fails; the message ends with what it said last.
    """
    done = watch(
        [sys.executable, "-m", "benchmarks.engines.child", config, *overrides], others=others
    )
    return Cost(sum(json.loads(done.stdout.splitlines()[-1]).values()), done.peak_mib)


@contextlib.contextmanager
def flink_cluster(folder: Path, jars: Path) -> Iterator[tuple[Path, int]]:
    """Starts a cluster on free ports; yields its file and its launcher's pid.

    Raises:
        RuntimeError: if it does not start; it has said why.
    """
    command = [
        *(sys.executable, "-m", "pipeline.beam.flink", "start", "--free-ports"),
        *("--folder", str(folder), "--jars", str(jars)),
    ]
    launcher = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert launcher.stdout is not None
    try:
        if "Flink runs" not in launcher.stdout.readline():
            raise RuntimeError("the Flink cluster did not start")
        yield folder / "cluster.json", launcher.pid
    finally:
        launcher.terminate()
        launcher.communicate()
