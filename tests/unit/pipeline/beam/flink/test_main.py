"""The command that starts, shows and ends a cluster, where there is none to start."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pipeline.beam.flink.cluster_file import Cluster, Process, start_time
from pipeline.beam.flink.ports import Ports, free_ports


@pytest.fixture
def flink(repository, tmp_path):
    """Runs the command with an empty PATH; returns how it ended."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PATH": str(tmp_path / "none")}
        environment.pop("JAVA_HOME", None)
        return subprocess.run(
            [sys.executable, "-m", "pipeline.beam.flink", *arguments],
            cwd=repository, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


def test_help_when_asked_then_teaches_and_names_every_command(flink):
    done = flink("--help")
    assert done.returncode == 0
    for text in ("start", "status", "stop", "tapeline run", "Java 17", "docs/flink.md"):
        assert text in done.stdout
    assert "--rest-port" in flink("start", "--help").stdout


def test_start_when_there_is_no_java_then_says_so_and_leaves_nothing(flink, tmp_path):
    done = flink("start", "--folder", str(tmp_path / "flink"), "--jars", str(tmp_path / "jars"))
    assert done.returncode == 2
    assert done.stderr.startswith("error: java: found none on PATH; install Java 17")
    assert not (tmp_path / "flink").exists()


def test_status_and_stop_when_there_is_no_cluster_then_say_so(flink, tmp_path):
    folder = str(tmp_path / "flink")
    status, stop = flink("status", "--folder", folder), flink("stop", "--folder", folder)
    assert (status.returncode, stop.returncode) == (1, 0)
    assert status.stdout == f"no cluster: no file {folder}/cluster.json\n"
    assert stop.stdout == f"no cluster runs by {folder}/cluster.json\n"


def test_stop_when_a_pid_belongs_to_another_process_by_now_then_leaves_that_alone(flink, tmp_path):
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        other = Process("taskmanager-1", sleeper.pid, start_time(sleeper.pid) - 1)
        gone = Process("launcher", sleeper.pid, start_time(sleeper.pid) - 2)
        Cluster("a:1", "b:2", "c:3", (gone, other)).write(tmp_path / "cluster.json")
        assert flink("stop", "--folder", str(tmp_path)).returncode == 0
        assert sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()
    assert not (tmp_path / "cluster.json").exists()


def test_stop_when_a_process_lives_on_without_its_launcher_then_ends_it(flink, tmp_path):
    sleeper = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True
    )
    left = Process("taskmanager-1", sleeper.pid, start_time(sleeper.pid))
    gone = Process("launcher", sleeper.pid, left.started - 1)
    Cluster("a:1", "b:2", "c:3", (gone, left)).write(tmp_path / "cluster.json")
    assert flink("stop", "--folder", str(tmp_path)).stdout == "stopped\n"
    assert sleeper.wait() < 0


def test_ports_when_one_is_taken_then_is_told(listening):
    port = int(listening().rpartition(":")[2])
    free = free_ports()
    assert free.taken() == []
    assert Ports(**{**vars(free), "job": port}).taken() == [port]


def test_ports_when_any_will_do_then_are_all_different():
    assert len(set(vars(free_ports()).values())) == len(vars(Ports()))
