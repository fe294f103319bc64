"""The cluster on this machine: starts its processes, keeps them going, and ends them."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.beam.flink.cluster_file import (
    Cluster,
    NoCluster,
    Process,
    read_any_cluster,
    start_time,
)
from pipeline.beam.flink.members import Member, end
from pipeline.beam.flink.ports import HOST, Ports
from pipeline.beam.flink.rest import NoAnswer, overview
from pipeline.beam.flink.settings import (
    SETTINGS,
    conf_text,
    job_manager_command,
    job_server_command,
    task_manager_command,
)
from pipeline.beam.processes import worker_environment

FILE = "cluster.json"

_START, _STOP = 180.0, 30.0
_STEP = 0.2
_SOON = 15.0
"""Seconds. What ends so soon after its start would end again."""


class ClusterFailed(RuntimeError):
    """A process of the cluster ended that the cluster cannot do without."""


class LocalCluster:
    """JobManager, TaskManagers, Beam's job server and a worker pool, all on loopback.

    Args:
        folder: for the cluster's file, its settings, its logs and what it keeps on disk.
        task_managers: how many.
    """

    def __init__(
        self, folder: Path, java: str, jars: Path, ports: Ports, task_managers: int
    ) -> None:
        self._folder = folder
        self._ports = ports
        self._task_managers = task_managers
        conf, logs = folder / "conf", folder / "logs"
        self._job_manager = Member(
            "jobmanager",
            job_manager_command(java, str(jars), str(conf)),
            logs / "jobmanager.log",
        )
        self._job_server = Member(
            "jobserver",
            job_server_command(
                java, str(jars), f"localhost:{ports.rest}", "localhost",
                (ports.job, ports.artifact, ports.expansion), str(folder / "artifacts"),
            ),
            logs / "jobserver.log",
        )  # fmt: skip
        self._restartable = [
            Member(
                "workerpool",
                [sys.executable, "-m", "pipeline.beam.worker_pool", f"--port={ports.worker_pool}"],
                logs / "workerpool.log",
                worker_environment(),
            ),
            *(
                Member(
                    f"taskmanager-{number}",
                    task_manager_command(java, str(jars), str(conf), {}),
                    logs / f"taskmanager-{number}.log",
                )
                for number in range(1, task_managers + 1)
            ),
        ]

    @property
    def file(self) -> Path:
        return self._folder / FILE

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Starts the cluster, and ends it.

        Raises:
            ClusterFailed: if it is not complete within three minutes.
        """
        self._make_folders()
        try:
            for member in self._members():
                member.start()
            # Written at once: whoever ends this process finds the others by it.
            self._write()
            self._wait()
            yield
        finally:
            for member in self._members():
                member.ask_to_stop()
            for member in self._members():
                member.stop()
            self.file.unlink(missing_ok=True)
            self._remove_temporary()

    def watch(self, say: Callable[[str], None]) -> None:
        """Starts again what ended; returns never.

        Raises:
            ClusterFailed: if the JobManager or the job server ended, which know the jobs, or if
                another process ends soon after its start.
        """
        while True:
            time.sleep(_STEP)
            for member in (self._job_manager, self._job_server):
                self._require(member)
            for member in self._restartable:
                code = member.exit_code
                if code is None:
                    continue
                if member.lived < _SOON:
                    raise ClusterFailed(_ended(member))
                say(f"{member.name} ended with exit code {code}; starting another")
                member.stop()
                member.start()
                self._write()

    def _members(self) -> list[Member]:
        return [self._job_manager, self._job_server, *self._restartable]

    def _make_folders(self) -> None:
        self._remove_temporary()
        for name in ("conf", "tmp", "artifacts"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        text = conf_text({**SETTINGS, **_local_settings(self._folder, self._ports)})
        (self._folder / "conf" / "flink-conf.yaml").write_text(text, encoding="utf-8")

    def _remove_temporary(self) -> None:
        for name in ("tmp", "artifacts"):
            shutil.rmtree(self._folder / name, ignore_errors=True)

    def _wait(self) -> None:
        """Waits until every TaskManager has joined and the other two listen."""
        from pipeline.beam.checks import listens

        deadline = time.monotonic() + _START
        while True:
            missing = []
            try:
                joined = overview(f"{HOST}:{self._ports.rest}", 5.0).task_managers
            except NoAnswer:
                missing.append("jobmanager")
            else:
                if joined < self._task_managers:
                    missing.append(f"{self._task_managers - joined} TaskManagers")
            addresses = {"jobserver": self._ports.job, "workerpool": self._ports.worker_pool}
            missing += [name for name, port in addresses.items() if not listens(f"{HOST}:{port}")]
            if not missing:
                return
            for member in self._members():
                self._require(member)
            if time.monotonic() > deadline:
                logs = self._folder / "logs"
                raise ClusterFailed(f"not there after {_START:.0f} s: {missing}; see {logs}")
            time.sleep(_STEP)

    def _require(self, member: Member) -> None:
        if member.exit_code is not None:
            raise ClusterFailed(_ended(member))

    def _write(self) -> None:
        launcher = Process("launcher", os.getpid(), start_time(os.getpid()) or 0)
        Cluster(
            flink_master=f"localhost:{self._ports.rest}",
            job_endpoint=f"localhost:{self._ports.job}",
            environment=f"{HOST}:{self._ports.worker_pool}",
            processes=(launcher, *(member.process() for member in self._members())),
        ).write(self.file)


def stop(folder: Path) -> bool:
    """Ends the cluster whose file is in a folder; returns whether there was one.

    The launcher is asked first, and ends the others in order; what is left of a launcher that was
    killed is ended one by one.
    """
    try:
        processes = read_any_cluster(folder / FILE).processes
    except NoCluster:
        return False
    launcher, *others = processes
    found = [end(launcher, _STOP), *map(end, others)]
    (folder / FILE).unlink(missing_ok=True)
    return any(found)


def _local_settings(folder: Path, ports: Ports) -> dict[str, str]:
    """Returns where this cluster's processes find each other, and where they write."""
    return {
        "jobmanager.rpc.address": "localhost",
        "jobmanager.rpc.port": str(ports.rpc),
        "jobmanager.bind-host": HOST,
        "rest.address": "localhost",
        "rest.port": str(ports.rest),
        "rest.bind-address": HOST,
        "taskmanager.host": "localhost",
        "taskmanager.bind-host": HOST,
        "io.tmp.dirs": str(folder / "tmp"),
    }


def _ended(member: Member) -> str:
    lines = member.log.read_text(encoding="utf-8", errors="replace").splitlines()
    last = next((line.strip() for line in reversed(lines) if line.strip()), "it says nothing")
    return f"{member.name} ended with exit code {member.exit_code}: {last[:300]}; see {member.log}"
