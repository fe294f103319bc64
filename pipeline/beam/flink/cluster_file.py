"""The file by which a running local cluster is found: its addresses and its processes."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


class NoCluster(RuntimeError):
    """There is no cluster by that file; the message says what there is."""


@dataclass(frozen=True)
class Process:
    """A process of the cluster.

    Attributes:
        name: such as `taskmanager-1`.
        started: when, in the kernel's ticks since boot; tells it from a later one of the same pid.
    """

    name: str
    pid: int
    started: int

    def is_alive(self) -> bool:
        return start_time(self.pid) == self.started


@dataclass(frozen=True)
class Cluster:
    """A cluster; addresses are `host:port`.

    Attributes:
        flink_master: of the JobManager's REST interface.
        job_endpoint: of Beam's job server.
        environment: of the worker pool.
        processes: the launcher first.
    """

    flink_master: str
    job_endpoint: str
    environment: str
    processes: tuple[Process, ...]

    def write(self, path: Path) -> None:
        """Writes the file, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        os.replace(partial, path)


def read_cluster(path: Path) -> Cluster:
    """Reads a cluster's file.

    Raises:
        NoCluster: if there is none, or its launcher has ended.
    """
    cluster = read_any_cluster(path)
    launcher = cluster.processes[0]
    if not launcher.is_alive():
        raise NoCluster(f"{path} of a cluster whose launcher (pid {launcher.pid}) has ended")
    return cluster


def read_any_cluster(path: Path) -> Cluster:
    """Reads a cluster's file, also of one whose launcher was killed and that lives on in parts.

    Raises:
        NoCluster: if there is none.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        processes = tuple(Process(**found) for found in values.pop("processes"))
        if not processes:
            raise ValueError("no processes")
        return Cluster(**values, processes=processes)
    except FileNotFoundError as error:
        raise NoCluster(f"no file {path}") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NoCluster(f"{path}, no file of a cluster: {error}") from error


def start_time(pid: int) -> int | None:
    """Returns when a process started, in ticks since boot; None if it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name, in brackets, may hold anything; the state comes next, and is the third field.
    state, *fields = text.rpartition(")")[2].split()
    return None if state == "Z" else int(fields[18])
