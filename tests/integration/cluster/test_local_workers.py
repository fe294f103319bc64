"""Processes that a training starts itself: watched, stopped together, and never left behind."""

from __future__ import annotations

import json
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
    "strategy": "multi_worker",
    "local_workers": 2,
    "checkpoint": {"every_steps": 10},
    "stall_seconds": 60.0,
}
STOPPED, FAILED = 143, 1
SECONDS = 60.0


@pytest.fixture
def job(data: dict, tmp_path: Path) -> Path:
    """The file of a job that would train for hours."""
    path = tmp_path / "job.json"
    task = {"name": "digits", "options": {"filters": 4, "embedding": 8}}
    folder = str(tmp_path / "run")
    path.write_text(json.dumps({"task": task, "train": TRAIN, "data": data, "folder": folder}))
    return path


def _run(start: Callable, job: Path) -> tuple:
    """Starts the job; returns the process and its workers once they train."""
    (process,) = start(["-m", "trainer_module", f"--config={job}"], job.parent / "logs")
    end = time.monotonic() + 240
    while "train_step" not in process.text():
        assert process.poll() is None and time.monotonic() < end, process.text()[-3000:]
        time.sleep(0.05)
    children = psutil.Process(process.pid).children()
    workers = [child for child in children if "trainer_module" in " ".join(child.cmdline())]
    assert len(workers) == 2
    return process, workers


def _gone(processes: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, timeout=SECONDS)[1]


def test_run_when_stopped_then_killed_in_parts_then_says_so_and_leaves_no_process(start, job):
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
