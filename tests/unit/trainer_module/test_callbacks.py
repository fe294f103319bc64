"""What watches a training: TensorBoard files, the history, and the events of progress."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.callbacks import Callback, History, Progress, TensorBoard  # isort: skip
from trainer_module.progress import LOGGER_NAME  # isort: skip


def _scalars(folder: Path) -> dict[tuple[str, int], float]:
    """Reads all event files of a folder: (tag, step) -> value."""
    found = {}
    for path in folder.glob("events.out.tfevents.*"):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                found[value.tag, event.step] = float(tf.make_ndarray(value.tensor))
    return found


def test_callback_when_it_has_no_hooks_of_its_own_then_does_nothing():
    callback = Callback()
    callback.on_train_begin(0, 10, 5)
    callback.on_call_end(5, {"loss": 1.0})
    callback.on_epoch_end(1, 5, {}, {})
    callback.on_train_end(10)


def test_tensorboard_when_training_ends_then_its_files_hold_every_scalar(tmp_path):
    board = TensorBoard(str(tmp_path))
    board.on_train_begin(0, 4, 2)
    board.on_call_end(1, {"loss": 3.0, "class/accuracy": 0.25})
    board.on_call_end(2, {"loss": 2.0, "class/accuracy": 0.5})
    board.on_epoch_end(1, 2, {"loss": 2.5}, {"loss": 2.25})
    board.on_call_end(4, {"loss": 1.0})
    board.on_train_end(4)
    assert _scalars(tmp_path / "train") == {
        ("loss", 1): 3.0,
        ("class/accuracy", 1): 0.25,
        ("loss", 2): 2.0,
        ("class/accuracy", 2): 0.5,
        ("loss", 4): 1.0,
    }
    assert _scalars(tmp_path / "eval") == {("loss", 2): 2.25}


def test_tensorboard_when_an_epoch_ends_then_its_scalars_can_be_read(tmp_path):
    board = TensorBoard(str(tmp_path))
    board.on_call_end(2, {"loss": 2.0})
    board.on_epoch_end(1, 2, {"loss": 2.0}, {"loss": 1.5})
    assert _scalars(tmp_path / "train") == {("loss", 2): 2.0}
    assert _scalars(tmp_path / "eval") == {("loss", 2): 1.5}


def _history(path: Path, resumed: int, epochs: range) -> History:
    history = History(str(path))
    history.on_train_begin(resumed, 40, 10)
    for epoch in epochs:
        history.on_epoch_end(epoch, epoch * 10, {"loss": 1 / epoch}, {"loss": 2 / epoch})
    return history


def _lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_history_when_epochs_end_then_holds_a_line_for_each(tmp_path):
    path = tmp_path / "history.jsonl"
    history = _history(path, resumed=0, epochs=range(1, 3))
    assert _lines(path) == history.epochs
    assert _lines(path) == [
        {"epoch": 1, "step": 10, "train": {"loss": 1.0}, "eval": {"loss": 2.0}},
        {"epoch": 2, "step": 20, "train": {"loss": 0.5}, "eval": {"loss": 1.0}},
    ]
    assert list(tmp_path.iterdir()) == [path], "no partial file is left"


@pytest.mark.parametrize(("resumed", "kept"), [(0, 0), (9, 0), (10, 1), (16, 1), (20, 2), (30, 3)])
def test_history_when_resumed_then_drops_what_lies_beyond_the_step(tmp_path, resumed, kept):
    path = tmp_path / "history.jsonl"
    _history(path, resumed=0, epochs=range(1, 4))
    resumed_history = _history(path, resumed, epochs=range(kept + 1, 5))
    assert [line["epoch"] for line in _lines(path)] == [1, 2, 3, 4]
    assert _lines(path) == resumed_history.epochs


def test_history_when_it_dies_while_writing_then_the_lines_before_remain(tmp_path, monkeypatch):
    path = tmp_path / "history.jsonl"
    history = _history(path, resumed=0, epochs=range(1, 3))
    before = path.read_bytes()

    def die(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr("os.replace", die)
        history.on_epoch_end(3, 30, {"loss": 0.0}, {"loss": 0.0})
    assert path.read_bytes() == before
    _history(path, resumed=20, epochs=range(3, 4))
    assert [line["epoch"] for line in _lines(path)] == [1, 2, 3]


def _events(caplog: pytest.LogCaptureFixture) -> list[dict]:
    return [record.event for record in caplog.records if record.name == LOGGER_NAME]


def test_progress_when_a_training_runs_then_logs_its_events(caplog):
    progress = Progress(interval=0.0)
    with caplog.at_level(logging.INFO, logger=LOGGER_NAME):
        progress.on_train_begin(10, 40, 10)
        progress.on_call_end(15, {"loss": np.float32(0.123456789)})
        progress.on_epoch_end(2, 20, {"loss": 0.5}, {"loss": 0.75})
    begin, call, epoch = _events(caplog)
    assert begin == {"kind": "train_begin", "step": 10, "total_steps": 40, "steps_per_epoch": 10}
    assert call.pop("steps_per_second") > 0
    assert call.pop("values") == {"loss": pytest.approx(0.123457, abs=1e-6)}
    assert call == {"kind": "train_step", "step": 15, "total_steps": 40, "epoch": 2}
    assert epoch == {
        "kind": "epoch_end",
        "epoch": 2,
        "step": 20,
        "train": {"loss": 0.5},
        "eval": {"loss": 0.75},
    }


def test_progress_when_calls_come_fast_then_tells_of_one_an_interval(caplog, monkeypatch):
    clock = iter([100.0, 100.5, 101.0, 101.75, 102.0])
    monkeypatch.setattr("trainer_module.callbacks.time.monotonic", lambda: next(clock))
    progress = Progress(interval=1.0)
    with caplog.at_level(logging.INFO, logger=LOGGER_NAME):
        progress.on_train_begin(0, 40, 10)
        for step in (1, 2, 3, 4):
            progress.on_call_end(step, {})
    steps = [(e["step"], e["steps_per_second"]) for e in _events(caplog)[1:]]
    assert steps == [(1, 2.0), (3, 1.7)]


@pytest.mark.parametrize(("step", "epoch"), [(1, 1), (10, 1), (11, 2), (20, 2), (21, 3)])
def test_progress_when_a_step_ends_then_names_the_epoch_that_it_is_in(caplog, step, epoch):
    progress = Progress(interval=0.0)
    with caplog.at_level(logging.INFO, logger=LOGGER_NAME):
        progress.on_train_begin(0, 40, 10)
        progress.on_call_end(step, {})
    assert _events(caplog)[-1]["epoch"] == epoch
