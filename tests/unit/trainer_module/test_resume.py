"""A training can be killed at any instant and goes on bit for bit."""

from __future__ import annotations

import signal
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.config import OptimizerConfig, TrainConfig  # isort: skip
from trainer_module.loop import train  # isort: skip
from trainer_module.tasks.digits import Digits  # isort: skip

STRATEGIES = {"default": {}, "mirrored": {"strategy": "mirrored", "replicas": 2}}

# Ten steps an epoch; calls end at 3, 4, 7, 8, 10, 12, 15, 16, 19, 20, ...
EVERY = {"checkpoint_every_steps": 4}
MID_EPOCH = 7
END_OF_EPOCH = 20


@dataclass
class Story:
    """One training left alone, and the same one killed twice, as the driver finished each."""

    alone: Any
    killed_in_mid_epoch: Any
    killed_after_best: Any
    latest_when_killed: str
    best_when_killed: str
    finished: Any


def _killed_twice(drive: Callable, folder: Path, options: dict) -> dict:
    first = drive(folder, kill_at_step=MID_EPOCH, **options, **EVERY)
    second = drive(folder, kill_at_epoch_end=END_OF_EPOCH, **options, **EVERY)
    assert (folder / "best").exists(), second.stderr[-3000:]
    latest = tf.train.latest_checkpoint(str(folder / "latest"))
    best = tf.train.latest_checkpoint(str(folder / "best"))
    _litter(folder)
    return {
        "killed_in_mid_epoch": first,
        "killed_after_best": second,
        "latest_when_killed": Path(latest).name,
        "best_when_killed": Path(best).name,
        "finished": drive(folder, **options, **EVERY),
    }


def _litter(folder: Path) -> None:
    """Leaves what a process leaves that dies while it writes a checkpoint."""
    for name in ("latest", "best"):
        temporary = folder / name / "ckpt-20_temp"
        temporary.mkdir()
        (temporary / "part-00000-of-00001.data-00000-of-00001").write_bytes(b"half")
        (folder / name / "checkpoint.tmp0123456789").write_text("model_checkpoint_pa")
        (folder / name / "ckpt-30.data-00000-of-00001").write_bytes(b"half")
    (folder / "latest" / "ckpt-20.index").write_bytes(b"half")


@pytest.fixture(scope="module")
def stories(drive: Callable, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Story]:
    root = tmp_path_factory.mktemp("resume")
    with ThreadPoolExecutor(2) as pool:
        futures: dict[str, tuple[Future, Future]] = {
            name: (
                pool.submit(_killed_twice, drive, root / f"{name}-killed", options),
                pool.submit(drive, root / f"{name}-alone", **options, **EVERY),
            )
            for name, options in STRATEGIES.items()
        }
    return {
        name: Story(alone=alone.result(), **killed.result())
        for name, (killed, alone) in futures.items()
    }


@pytest.fixture(params=STRATEGIES)
def story(request: pytest.FixtureRequest, stories: dict[str, Story]) -> Story:
    return stories[request.param]


def _checkpoint(folder: Path, kind: str) -> dict[str, np.ndarray]:
    """Returns all that the newest checkpoint of a kind holds, but for TensorFlow's own entries."""
    reader = tf.train.load_checkpoint(str(folder / kind))
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if "OBJECT_GRAPH" not in name and "save_counter" not in name
    }


def _assert_same_bits(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].tobytes() == values.tobytes(), name


def test_driver_when_told_to_die_is_killed_before_it_finishes(story):
    assert story.alone.returncode == 0, story.alone.stderr[-3000:]
    for killed in (story.killed_in_mid_epoch, story.killed_after_best):
        assert killed.returncode == -signal.SIGKILL, killed.stderr[-3000:]
        assert not killed.output.exists()


def test_kill_between_best_and_latest_when_it_hits_leaves_best_ahead_of_latest(story):
    assert story.latest_when_killed == "ckpt-16"
    assert story.best_when_killed == "ckpt-20"


def test_train_when_killed_twice_then_resumes_from_the_latest_checkpoint(story):
    assert story.finished.returncode == 0, story.finished.stderr[-3000:]
    assert story.finished.result()["resumed_from"] == 16
    assert story.finished.losses()[0][0] == 19
    assert story.alone.result()["resumed_from"] == 0


def test_train_when_killed_twice_then_exports_the_weights_of_an_uninterrupted_run(story):
    found, expected = story.finished.weights(), story.alone.weights()
    assert len(found) == len(expected) == 12
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.tobytes() == theirs.tobytes()
    assert story.finished.result()["best_step"] == story.alone.result()["best_step"]


@pytest.mark.parametrize("kind", ["latest", "best"])
def test_checkpoint_when_killed_twice_then_holds_the_bits_of_an_uninterrupted_run(story, kind):
    _assert_same_bits(
        _checkpoint(story.finished.folder, kind), _checkpoint(story.alone.folder, kind)
    )


def test_losses_when_resumed_in_mid_epoch_then_are_those_of_an_uninterrupted_run(story):
    uninterrupted = dict(story.alone.losses())
    for step, loss in story.finished.losses():
        assert loss == uninterrupted[step]


def _train_here(folder: Path, train_rows: dict, eval_rows: dict, **changes: object):
    config = {
        "epochs": 3,
        "batch_size": 32,
        "eval_batch_size": 64,
        "steps_per_call": 3,
        "optimizer": OptimizerConfig(learning_rate=0.003),
    }
    config = TrainConfig(**(config | EVERY | changes))
    return train(
        Digits(filters=8, embedding=16), {}, train_rows, eval_rows, config, str(folder)
    ).model.get_weights()


def test_train_when_run_in_two_processes_then_gives_the_same_bits(
    stories, train_rows, eval_rows, tmp_path
):
    here = _train_here(tmp_path, train_rows, eval_rows)
    for ours, theirs in zip(here, stories["default"].alone.weights(), strict=True):
        assert ours.tobytes() == theirs.tobytes()


def test_train_when_the_seed_is_another_then_gives_other_weights(
    stories, train_rows, eval_rows, tmp_path
):
    here = _train_here(tmp_path, train_rows, eval_rows, seed=1)
    kernels = [weights for weights in here if weights.ndim > 1]
    theirs = [weights for weights in stories["default"].alone.weights() if weights.ndim > 1]
    assert not any(np.allclose(a, b) for a, b in zip(kernels, theirs, strict=True))
