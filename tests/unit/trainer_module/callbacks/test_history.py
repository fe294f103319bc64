"""The history: a JSON line an epoch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trainer_module.callbacks import History


@pytest.fixture
def write(make_training):
    def run(path: Path, resumed: int, epochs: range) -> History:
        history = History(str(path))
        history.on_train_begin(make_training(resumed_from=resumed))
        for epoch in epochs:
            history.on_epoch_end(epoch, epoch * 10, {"loss": 1 / epoch}, {"loss": 2 / epoch})
        return history

    return run


def _lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_history_when_epochs_end_then_holds_a_line_for_each(tmp_path, write):
    path = tmp_path / "history.jsonl"
    history = write(path, resumed=0, epochs=range(1, 3))
    assert _lines(path) == history.epochs
    assert _lines(path) == [
        {"epoch": 1, "step": 10, "train": {"loss": 1.0}, "eval": {"loss": 2.0}},
        {"epoch": 2, "step": 20, "train": {"loss": 0.5}, "eval": {"loss": 1.0}},
    ]
    assert list(tmp_path.iterdir()) == [path], "no partial file is left"


@pytest.mark.parametrize(("resumed", "kept"), [(0, 0), (9, 0), (10, 1), (16, 1), (20, 2), (30, 3)])
def test_history_when_resumed_then_drops_what_lies_beyond_the_step(tmp_path, write, resumed, kept):
    path = tmp_path / "history.jsonl"
    write(path, resumed=0, epochs=range(1, 4))
    resumed_history = write(path, resumed, epochs=range(kept + 1, 5))
    assert [line["epoch"] for line in _lines(path)] == [1, 2, 3, 4]
    assert _lines(path) == resumed_history.epochs


def test_history_when_the_step_of_the_checkpoint_is_evaluated_again_then_replaces_its_line(
    tmp_path, write
):
    path = tmp_path / "history.jsonl"
    write(path, resumed=0, epochs=range(1, 3))
    write(path, resumed=20, epochs=range(2, 4))
    assert [line["step"] for line in _lines(path)] == [10, 20, 30]


def test_history_when_it_dies_while_writing_then_the_lines_before_remain(
    tmp_path, write, monkeypatch
):
    path = tmp_path / "history.jsonl"
    history = write(path, resumed=0, epochs=range(1, 3))
    before = path.read_bytes()

    def die(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr("os.replace", die)
        history.on_epoch_end(3, 30, {"loss": 0.0}, {"loss": 0.0})
    assert path.read_bytes() == before
    write(path, resumed=20, epochs=range(3, 4))
    assert [line["epoch"] for line in _lines(path)] == [1, 2, 3]
