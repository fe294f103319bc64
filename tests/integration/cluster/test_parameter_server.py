"""One parameter server, two workers and a coordinator, each a process of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

ROLES = {"chief": 1, "ps": 1, "worker": 2}
TRAIN = {
    "epochs": 4,
    "batch_size": 32,
    "eval_batch_size": 64,
    "steps_per_call": 5,
    "strategy": "parameter_server",
    "precision": "mixed_bfloat16",
    "accumulate": 2,
    "clip": {"by": "global_norm", "at": 1.0},
    "ema": {"momentum": 0.9},
    "optimizer": {"learning_rate": 0.01},
    "stall_seconds": 60.0,
}


@pytest.fixture(scope="module")
def job(data: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("parameter_server") / "job.json"
    # An embedding wide enough that kernels of their own update it.
    task = {"name": "digits", "options": {"filters": 4, "embedding": 160}}
    folder = str(path.parent / "run")
    path.write_text(json.dumps({"task": task, "train": TRAIN, "data": data, "folder": folder}))
    return path


@pytest.fixture(scope="module")
def runs(start: Callable, job: Path) -> list[list]:
    """The training to epoch 4, and on to epoch 6 from files, as its processes ended."""
    found = []
    for epochs, cache in ((4, "memory"), (6, "none")):
        arguments = ["-m", "trainer_module", f"--config={job}", f"--set=train.epochs={epochs}"]
        arguments.append(f"--set=train.input.cache={cache}")
        found.append(start(arguments, job.parent / "logs", ROLES))
        for process in found[-1]:
            assert process.wait() == 0, process.text()[-3000:]
    return found


@pytest.fixture(scope="module")
def history(runs: list, job: Path) -> list[dict]:
    lines = (job.parent / "run" / "history.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_train_when_workers_do_not_wait_for_each_other_then_counts_each_step_once(history):
    assert [(line["epoch"], line["step"]) for line in history] == [
        (epoch, 10 * epoch) for epoch in range(1, 7)
    ]


def test_train_when_run_on_parameter_servers_then_learns(history):
    losses = [line["eval"]["loss"] for line in history]
    assert losses[-1] < 0.8 * losses[0]
    assert history[-1]["eval"]["class/accuracy"] > 0.5


def test_train_when_run_again_for_longer_then_goes_on_from_the_checkpoint(runs):
    (chief, *_), (resumed, *_) = runs
    assert "train_begin step=0 " in chief.text()
    assert "train_begin step=40 " in resumed.text()


def test_servers_when_the_coordinator_is_through_then_end_without_error(runs):
    for _, *servers in runs:
        for server in servers:
            assert "error:" not in server.text()
