"""The input's benchmark: what it measures, on few rows."""

from __future__ import annotations

import json
import sys

import pytest

from benchmarks import input_pipeline, report


def test_waiting_share_when_elements_take_time_then_counts_that_alone(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(input_pipeline.time, "perf_counter", lambda: clock[0])

    def batches():
        for number in range(4):
            clock[0] += 1.0
            yield number

    def work(_batch):
        clock[0] += 3.0

    assert input_pipeline.waiting_share(batches(), work) == pytest.approx(0.25)


def test_main_when_run_then_writes_a_row_for_every_variant(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(
        input_pipeline,
        "write_json",
        lambda target, rows: report.write_json(target, rows, folder=tmp_path),
    )
    options = ["--rows=192", "--batch-size=8", "--rounds=1"]
    monkeypatch.setattr(sys, "argv", ["bench", *options])
    input_pipeline.main()
    rows = json.loads((tmp_path / "bench-input.json").read_text())
    caches = ("memory", "file", "none")
    expected = ["bare", "bare, parsed", *caches, *(f"{cache}, augmented" for cache in caches)]
    assert [row["variant"] for row in rows] == expected
    assert all(row["rows_per_second"] > 0 and row["cpu_us_per_row"] > 0 for row in rows)
    assert rows[0]["ratio"] == 1
    assert "rows a second" in capsys.readouterr().out
