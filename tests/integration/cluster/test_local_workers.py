"""Processes that a training starts itself: watched, stopped together, and never left behind."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

TRAIN = {
    "epochs": 100000,
    "batch_size": 32,
    "eval_batch_size": 64,
    "local_workers": 2,
    "checkpoint": {"every_steps": 10},
    "stall_seconds": 60.0,
}
STOPPED, FAILED = 143, 1
SECONDS = 60.0


@pytest.fixture
def make_job(data: dict, tmp_path: Path) -> Callable[[str], Path]:
    """Writes the file of a job that would train for hours, by strategy."""

    def make(strategy: str) -> Path:
        path = tmp_path / "job.json"
        task = {"name": "digits", "options": {"filters": 4, "embedding": 8}}
        train = {**TRAIN, "strategy": strategy}
        folder = str(tmp_path / "run")
        path.write_text(json.dumps({"task": task, "train": train, "data": data, "folder": folder}))
        return path

    return make


def _run(start: Callable, job: Path, count: int = 2) -> tuple:
    """Starts the job; returns the process and its workers, so many, once they train."""
    (process,) = start(["-m", "trainer_module", f"--config={job}"], job.parent / "logs")
    end = time.monotonic() + 240
    while "train_step" not in process.text():
        assert process.poll() is None and time.monotonic() < end, process.text()[-3000:]
        time.sleep(0.05)
    children = psutil.Process(process.pid).children()
    workers = [child for child in children if "trainer_module" in " ".join(child.cmdline())]
    assert len(workers) == count
    return process, workers


def _role(process: psutil.Process) -> str:
    return json.loads(process.environ()["TF_CONFIG"])["task"]["type"]


def _gone(processes: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, timeout=SECONDS)[1]


def test_run_when_stopped_then_killed_in_parts_then_says_so_and_leaves_no_process(start, make_job):
    job = make_job("multi_worker")
    process, workers = _run(start, job)
    process.send(signal.SIGTERM)
    assert process.wait(SECONDS) == STOPPED
    assert "saved at step" in process.text()
    assert _gone(workers)

    process, workers = _run(start, job)
    workers[1].send_signal(signal.SIGKILL)
    assert process.wait(SECONDS) == FAILED
    log = job.parent / "run" / "logs" / "worker-1.log"
    assert f"worker 1 was killed by SIGKILL; its log is {log}" in process.text()
    assert "run again to resume from step" in process.text().splitlines()[-1]
    assert _gone(workers)

    process, workers = _run(start, job)
    process.send(signal.SIGKILL)
    assert _gone(workers)


def test_run_when_a_parameter_server_is_killed_then_says_so_and_goes_on_when_run_again(
    start, make_job
):
    job = make_job("parameter_server")
    latest = job.parent / "run" / "latest"
    process, members = _run(start, job, count=4)
    end = time.monotonic() + SECONDS
    while not list(latest.glob("step-*[1-9]*")):
        assert time.monotonic() < end, process.text()[-3000:]
        time.sleep(0.05)
    (server,) = [member for member in members if _role(member) == "ps"]
    server.send_signal(signal.SIGKILL)
    assert process.wait(SECONDS) == FAILED
    log = job.parent / "run" / "logs" / "ps-0.log"
    assert f"ps 0 was killed by SIGKILL; its log is {log}" in process.text()
    step = re.fullmatch(
        r".*run again to resume from step (\d+)", process.text().splitlines()[-1]
    ).group(1)
    assert int(step) > 0
    assert _gone(members)

    process, members = _run(start, job, count=4)
    assert int(re.search(r"train_step .*?\bstep=(\d+)", process.text()).group(1)) > int(step)
    process.send(signal.SIGTERM)
    assert process.wait(SECONDS) == STOPPED
    assert _gone(members)
