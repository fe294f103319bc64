"""The table of epochs, and tables that grow with a training."""

from __future__ import annotations

import csv

import pytest

from trainer_module.callbacks import CsvLog
from trainer_module.callbacks.table import Table


def test_csv_log_when_epochs_end_then_holds_a_row_for_each(tmp_path, make_training):
    path = tmp_path / "history.csv"
    log = CsvLog(str(path))
    log.on_train_begin(make_training())
    log.on_epoch_end(1, 10, {"loss": 0.1, "weight/a": 3.0}, {"loss": 2.0, "class/accuracy": 0.5})
    log.on_epoch_end(2, 20, {"loss": 1e-9}, {"loss": 1.0, "class/accuracy": 0.75})
    assert path.read_text() == (
        "epoch,step,train/loss,eval/loss,eval/class/accuracy\n1,10,0.1,2.0,0.5\n2,20,1e-09,1.0,0.75\n"
    )
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("resumed", "kept"), [(0, 0), (10, 1), (16, 1), (20, 2)])
def test_csv_log_when_resumed_then_keeps_the_rows_up_to_the_checkpoint(
    tmp_path, make_training, resumed, kept
):
    path = tmp_path / "history.csv"
    for start, resumed_from in ((1, 0), (kept + 1, resumed)):
        log = CsvLog(str(path))
        log.on_train_begin(make_training(resumed_from=resumed_from))
        for epoch in range(start, 4):
            log.on_epoch_end(epoch, epoch * 10, {"loss": 1 / epoch}, {"loss": float(start)})
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert [row["eval/loss"] for row in rows] == ["1.0"] * kept + [f"{kept + 1}.0"] * (3 - kept)


def test_table_when_a_step_comes_again_then_all_its_rows_are_replaced(tmp_path):
    path = tmp_path / "table.csv"
    table = Table(str(path))
    for step in (1, 3, 20):
        table.add([{"step": step, "a": 0}, {"step": step, "a": 1}])
    again = Table(str(path))
    again.resume(3)
    again.add([{"step": 3, "a": 2}, {"step": 3, "a": 3}])
    assert path.read_text() == "step,a\n1,0\n1,1\n3,2\n3,3\n"


def test_table_when_a_later_row_has_other_columns_then_the_first_ones_stay(tmp_path):
    path = tmp_path / "table.csv"
    table = Table(str(path))
    table.add([{"step": 1, "a": 2}])
    table.add([{"step": 2, "b": 3}])
    assert path.read_text() == "step,a\n1,2\n2,\n"


def test_table_when_it_dies_while_writing_then_the_rows_before_remain(tmp_path, monkeypatch):
    path = tmp_path / "table.csv"
    table = Table(str(path))
    table.add([{"step": 1}])

    def die(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr("os.replace", die)
    with pytest.raises(SystemExit):
        table.add([{"step": 2}])
    assert path.read_text() == "step\n1\n"
