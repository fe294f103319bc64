"""The table and the JSON that every benchmark ends with."""

from __future__ import annotations

import json

import pytest

from benchmarks.report import Column, Spread, format_table, write_json

_COLUMNS = (Column("loop", "loop"), Column("rate", "rate/s", ",.0f"), Column("ratio", "ratio"))
_ROWS = (
    {"loop": "ours", "rate": 12345.6, "ratio": 4.126, "problem": "mlp"},
    {"loop": "tutorial", "rate": 300.0, "ratio": None, "problem": "mlp"},
)


def test_table_aligns_text_left_and_numbers_right_and_leaves_none_blank():
    assert format_table(_COLUMNS, _ROWS).splitlines() == [
        "loop      rate/s  ratio",
        "ours      12,346   4.13",
        "tutorial     300",
    ]


def test_table_of_rows_without_a_column_is_an_error_that_names_it():
    with pytest.raises(KeyError, match="share"):
        format_table([Column("share", "share")], _ROWS)


def test_spread_is_median_lowest_and_highest():
    assert Spread.of([3.0, 1.0, 2.0, 9.0]) == Spread(2.5, 1.0, 9.0)


def test_json_holds_the_rows_as_they_are(tmp_path):
    path = write_json("bench-x", _ROWS, tmp_path / "build" / "bench")
    assert path == tmp_path / "build" / "bench" / "bench-x.json"
    assert json.loads(path.read_text()) == list(_ROWS)
    assert [item.name for item in path.parent.iterdir()] == ["bench-x.json"]


def test_json_of_a_number_that_is_not_finite_is_refused_and_the_last_file_stays(tmp_path):
    path = write_json("bench-x", _ROWS, tmp_path)
    with pytest.raises(ValueError, match="JSON"):
        write_json("bench-x", [{"rate": float("nan")}], tmp_path)
    assert json.loads(path.read_text()) == list(_ROWS)


def test_json_that_cannot_be_written_leaves_the_last_file_whole(tmp_path, monkeypatch):
    path = write_json("bench-x", _ROWS, tmp_path)

    def full(*_arguments: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("benchmarks.report.os.replace", full)
    with pytest.raises(OSError, match="No space"):
        write_json("bench-x", [], tmp_path)
    assert json.loads(path.read_text()) == list(_ROWS)
