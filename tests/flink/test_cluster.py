"""The cluster's own promises: who is not there is said, and what was started is ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest


@pytest.fixture(scope="module")
def without_task_managers(start_cluster):
    with start_cluster(task_managers=0) as found:
        yield found


def test_run_when_there_is_no_task_manager_then_says_so_within_a_minute(
    without_task_managers, job, tapeline, tmp_path
):
    began = time.monotonic()
    engine = ("beam.engine=flink", f"beam.cluster={without_task_managers.file}")
    done = tapeline(*job.arguments(tmp_path / "runs", *engine), cwd=tmp_path)
    assert time.monotonic() - began < 60
    assert done.code == 2, done
    assert "beam.cluster: found a JobManager" in done.stderr
    assert "without a TaskManager; allowed: one or more" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_start_when_a_cluster_runs_in_the_folder_then_refuses_another(
    without_task_managers, repository
):
    done = _flink("start", "--free-ports", folder=without_task_managers.file.parent, cwd=repository)
    assert done.returncode == 2
    assert "found a cluster that runs" in done.stderr


def test_status_when_it_takes_no_jobs_then_says_so(without_task_managers, repository):
    done = _flink("status", folder=without_task_managers.file.parent, cwd=repository)
    assert done.returncode == 1
    assert "0 TaskManagers with 0 slots" in done.stdout
    for process in without_task_managers.found.processes:
        assert f"pid {process.pid}" in done.stdout


def test_worker_pool_when_it_is_killed_then_another_takes_its_place(
    without_task_managers, wait_until
):
    cluster = without_task_managers
    killed = cluster.pid("workerpool")
    time.sleep(15)  # what ends sooner after its start is taken to end again
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: cluster.pid("workerpool") != killed)


def test_cluster_when_it_was_started_in_the_background_then_ends_by_an_interrupt_all_the_same(
    start_cluster,
):
    """A shell without job control has such processes ignore SIGINT; the fixture sends one."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with start_cluster(task_managers=0) as cluster:
            signal.signal(signal.SIGINT, before)
            processes = cluster.found.processes
    finally:
        signal.signal(signal.SIGINT, before)
    assert not any(process.is_alive() for process in processes)


def test_stop_when_the_launcher_was_killed_then_ends_the_others(start_cluster, repository):
    with start_cluster(task_managers=1) as cluster:
        processes = cluster.found.processes
        assert [process.name for process in processes] == [
            *("launcher", "jobmanager", "jobserver", "workerpool", "taskmanager-1")
        ]
        cluster.launcher.kill()
        cluster.launcher.wait()
        assert all(process.is_alive() for process in processes[1:])
        done = _flink("stop", folder=cluster.file.parent, cwd=repository)
        assert done.stdout == "stopped\n"
        assert not any(process.is_alive() for process in processes)
        assert not cluster.file.exists()


def _flink(command, *arguments, folder, cwd):
    return subprocess.run(
        [
            *(sys.executable, "-m", "pipeline.beam.flink", command, "--folder", str(folder)),
            *arguments,
        ],
        cwd=cwd, capture_output=True, text=True, check=False,
    )  # fmt: skip
