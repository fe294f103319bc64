"""A real Flink cluster, and the runs that its tests share.

Needs Java 17 and Maven: `make test-flink`.
"""

from __future__ import annotations

import contextlib
import json
import select
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.taxi import LABEL, taxi_csv
from pipeline.beam.flink.cluster_file import Cluster, read_any_cluster, start_time

_START = 600.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks every test of this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.flink)
            item.add_marker(pytest.mark.timeout(3600))


@dataclass(frozen=True)
class Job:
    """What the runs of these tests run."""

    config: str
    overrides: tuple[str, ...]

    def arguments(self, root: Path, *overrides: str) -> list[str]:
        sets = [*self.overrides, *overrides, f"root={root}"]
        return ["run", self.config, "--json", *(part for item in sets for part in ("--set", item))]


@pytest.fixture(scope="session")
def job(tapeline, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """The job that is compared between the engines: the taxi trips, for a few epochs."""
    folder = tmp_path_factory.mktemp("trips")
    done = tapeline(
        *("init", "--data", str(taxi_csv()), "--label", LABEL, "-o", "taxi.yaml"), cwd=folder
    )
    assert done.code == 0, done
    return Job(str(folder / "taxi.yaml"), ("train.epochs=3",))


@dataclass(frozen=True)
class RunningCluster:
    """A cluster that takes jobs, and the process that started it."""

    launcher: subprocess.Popen[str]
    file: Path

    @property
    def found(self) -> Cluster:
        return read_any_cluster(self.file)

    def pid(self, name: str) -> int:
        (pid,) = [process.pid for process in self.found.processes if process.name == name]
        return pid

    def get(self, path: str) -> Any:
        """Asks Flink's REST interface."""
        with urllib.request.urlopen(f"http://{self.found.flink_master}/{path}") as answer:
            return json.load(answer)

    def jobs(self) -> list[dict[str, Any]]:
        """Returns the jobs that there were, oldest first."""
        return sorted(self.get("jobs/overview")["jobs"], key=lambda found: found["start-time"])


@pytest.fixture(scope="session")
def start_cluster(
    repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., contextlib.AbstractContextManager[RunningCluster]]:
    """Starts a cluster on free ports; its end is a part of the test."""

    @contextlib.contextmanager
    def start(task_managers: int = 2) -> Iterator[RunningCluster]:
        folder = tmp_path_factory.mktemp("cluster")
        launcher = subprocess.Popen(
            [
                *(sys.executable, "-m", "pipeline.beam.flink", "start", "--free-ports"),
                *("--folder", str(folder), "--jars", str(repository / "build" / "flink")),
                *("--task-managers", str(task_managers)),
            ],
            cwd=repository,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert launcher.stdout is not None
        try:
            assert select.select([launcher.stdout], [], [], _START)[0], "it does not start"
            assert "Flink runs" in launcher.stdout.readline()
            cluster = RunningCluster(launcher, folder / "cluster.json")
            yield cluster
        finally:
            processes = cluster.found.processes if cluster.file.exists() else ()
            launcher.send_signal(signal.SIGINT)
            launcher.communicate()
        assert not [process for process in processes if process.is_alive()]

    return start


@pytest.fixture(scope="session")
def cluster(start_cluster) -> Iterator[RunningCluster]:
    with start_cluster() as found:
        yield found


@pytest.fixture(scope="session")
def local_run(job, tapeline, tmp_path_factory):
    """The job on the default engine."""
    root = tmp_path_factory.mktemp("local")
    done = tapeline(*job.arguments(root), cwd=root)
    assert done.code == 0, done
    return done.summary


@pytest.fixture(scope="session")
def flink_run(job, cluster, tapeline, tmp_path_factory):
    """The job on the cluster."""
    root = tmp_path_factory.mktemp("flink")
    engine = ("beam.engine=flink", f"beam.cluster={cluster.file}")
    done = tapeline(*job.arguments(root, *engine), cwd=root)
    assert done.code == 0, done
    return done.summary


@pytest.fixture(scope="session")
def wait_until() -> Callable[[Callable[[], bool]], None]:
    """Waits for what is bound to come; the test's timeout ends it otherwise."""

    def wait(holds: Callable[[], bool]) -> None:
        while not holds():
            time.sleep(0.2)

    return wait


@pytest.fixture(scope="session")
def is_alive() -> Callable[[int], bool]:
    return lambda pid: start_time(pid) is not None
