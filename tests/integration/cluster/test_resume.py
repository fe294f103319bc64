"""A training can be killed at any instant and goes on bit for bit, under each strategy."""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

STEPS = 80
TRAIN = {
    "epochs": 8,
    "batch_size": 32,
    "eval_batch_size": 64,
    "steps_per_call": 3,
    "checkpoint": {"every_steps": 3, "keep": 3},
    "ema": {"momentum": 0.9},
    "stall_seconds": 60.0,
}
STRATEGIES: dict[str, dict[str, Any]] = {
    "default": {},
    "mirrored": {"strategy": "mirrored", "replicas": 2},
    "multi_worker": {"strategy": "multi_worker"},
}
SURVIVOR_SECONDS = 60.0
LOST, STOPPED = 138, 143


@dataclass
class Training:
    """One training, in as many runs as it takes."""

    start: Callable
    path: Path
    folder: Path
    strategy: str

    def run(self) -> list:
        roles = {"worker": 2} if self.strategy == "multi_worker" else None
        arguments = ["-m", "trainer_module", f"--config={self.path}"]
        return self.start(arguments, self.path.parent / "logs", roles)

    def finish(self) -> list:
        processes = self.run()
        for process in processes:
            assert process.wait() == 0, process.text()[-3000:]
        return processes

    def run_to(self, step: int) -> list:
        """Starts it and returns once it has saved a step, or one beyond."""
        processes = self.run()
        while self.saved() < step:
            for process in processes:
                assert process.poll() is None, process.text()[-3000:]
            time.sleep(0.005)
        return processes

    def saved(self) -> int:
        found = sorted((self.folder / "latest").glob("step-*"))
        return int(found[-1].name.partition("-")[2]) if found else -1

    def checkpoint(self, kind: str) -> dict[str, np.ndarray]:
        """Returns all that the newest checkpoint of a kind holds, but for TensorFlow's own."""
        newest = sorted((self.folder / kind).glob("step-*"))[-1]
        reader = tf.train.load_checkpoint(str(newest / "checkpoint"))
        return {
            name: reader.get_tensor(name)
            for name in reader.get_variable_to_shape_map()
            if "OBJECT_GRAPH" not in name and "save_counter" not in name
        }


def _training(start: Callable, data: dict, root: Path, strategy: str) -> Training:
    root.mkdir(parents=True)
    job = {
        "task": {"name": "digits", "options": {"filters": 4, "embedding": 8}},
        "train": {**TRAIN, **STRATEGIES[strategy]},
        "data": data,
        "folder": str(root / "run"),
    }
    (root / "job.json").write_text(json.dumps(job))
    return Training(start, root / "job.json", root / "run", strategy)


def _instants(name: str, count: int) -> list[tuple[int, float]]:
    """Returns steps to wait for, rising, and seconds to wait then: drawn, the same every time."""
    draw = random.Random(name)
    steps = sorted(draw.sample(range(1, STEPS - 20), count))
    return [(step, draw.uniform(0.0, 0.03)) for step in steps]


def _kill(processes: list, victims: list) -> None:
    for process in victims:
        process.send(signal.SIGKILL)
    for process in victims:
        assert process.wait() == -signal.SIGKILL, process.text()[-3000:]
    for process in processes:
        process.send(signal.SIGKILL)
        process.wait()


def _kill_at_random(training: Training, count: int) -> None:
    for step, delay in _instants(training.strategy, count):
        processes = training.run_to(max(step, training.saved()))
        time.sleep(delay)
        _kill(processes, processes)


def _damage(training: Training) -> str:
    """Cuts the newest checkpoint short; returns its name."""
    newest = sorted((training.folder / "latest").glob("step-*"))[-1]
    (data,) = newest.glob("checkpoint.data-*")
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    return newest.name


def _assert_same_bits(ours: Training, theirs: Training) -> None:
    for kind in ("latest", "best"):
        found, expected = ours.checkpoint(kind), theirs.checkpoint(kind)
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            assert found[name].tobytes() == values.tobytes(), f"{kind} {name}"


@pytest.fixture(scope="module")
def alone(start: Callable, data: dict, tmp_path_factory: pytest.TempPathFactory) -> Callable:
    """Returns an uninterrupted training under a strategy."""
    root = tmp_path_factory.mktemp("alone")
    done: dict[str, Training] = {}

    def find(strategy: str) -> Training:
        if strategy not in done:
            done[strategy] = _training(start, data, root / strategy, strategy)
            done[strategy].finish()
        return done[strategy]

    return find


def test_train_when_killed_and_its_checkpoint_is_cut_short_then_ends_with_the_same_bits(
    start, data, alone, tmp_path
):
    training = _training(start, data, tmp_path / "killed", "default")
    _kill_at_random(training, 2)
    damaged = _damage(training)
    (process,) = training.finish()
    assert f"{damaged} cannot be read" in process.text()
    _assert_same_bits(training, alone("default"))


def test_train_when_killed_and_stopped_under_mirrored_then_ends_with_the_same_bits(
    start, data, alone, tmp_path
):
    training = _training(start, data, tmp_path / "killed", "mirrored")
    _kill_at_random(training, 2)
    # Beyond the first call: a process that has saved nothing yet just ends.
    processes = training.run_to(training.saved() + 4)
    processes[0].send(signal.SIGTERM)
    assert processes[0].wait(SURVIVOR_SECONDS) == STOPPED
    assert f"saved at step {training.saved()}" in processes[0].text()
    training.finish()
    _assert_same_bits(training, alone("mirrored"))


def test_train_when_workers_are_killed_and_stopped_then_ends_with_the_same_bits(
    start, data, alone, tmp_path
):
    training = _training(start, data, tmp_path / "killed", "multi_worker")
    chief, worker = training.run_to(10)
    worker.send(signal.SIGTERM)
    assert [chief.wait(SURVIVOR_SECONDS), worker.wait(SURVIVOR_SECONDS)] == [STOPPED, STOPPED]
    assert f"saved at step {training.saved()}" in chief.text()

    chief, worker = training.run_to(30)
    worker.send(signal.SIGKILL)
    assert chief.wait(SURVIVOR_SECONDS) == LOST
    last = chief.text().splitlines()[-1]
    assert last.startswith("error: worker 1 does not answer; run again to resume from step ")

    chief, worker = training.run_to(50)
    chief.send(signal.SIGKILL)
    assert worker.wait(SURVIVOR_SECONDS) == LOST
    assert "does not answer; run again to resume from step" in worker.text()

    chief, worker = training.finish()
    assert "train_begin step=" in chief.text() and "train_begin step=0" not in chief.text()
    _assert_same_bits(training, alone("multi_worker"))


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_train_when_killed_at_ten_random_instants_then_ends_with_the_same_bits(
    start, data, alone, tmp_path, strategy
):
    training = _training(start, data, tmp_path / "killed", strategy)
    _kill_at_random(training, 10)
    training.finish()
    _assert_same_bits(training, alone(strategy))
