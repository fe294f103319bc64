"""The input's benchmark: what it measures, on few rows."""

from __future__ import annotations

import json
import sys
import time

from benchmarks import input_pipeline, report
from benchmarks.input_wait import TimedIterator

import tensorflow as tf  # isort: skip

SMALL = """
task: {name: cifar10, options: {filters: [4], blocks: 1, stem_stride: 2, dropout: 0.0}}
train: {epochs: 1, batch_size: 8, input: {augment: {flip: horizontal}}}
"""


def test_timed_iterator_when_its_elements_take_time_then_counts_that_alone():
    def slow(number: tf.Tensor) -> tf.Tensor:
        return tf.py_function(lambda n: time.sleep(0.05) or n, [number], tf.int64)

    options = tf.data.Options()
    # It would read ahead, while nobody waits.
    options.autotune.enabled = False
    iterator = TimedIterator(iter(tf.data.Dataset.range(4).map(slow).with_options(options)))

    @tf.function
    def take() -> tf.Tensor:
        return next(iterator)

    assert [int(take()) for _ in range(4)] == [0, 1, 2, 3]
    waited = float(iterator.waited.numpy())
    assert waited > 4 * 0.05
    time.sleep(0.05)
    assert float(iterator.waited.numpy()) == waited


def test_main_when_run_then_writes_a_row_for_every_variant(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(
        input_pipeline,
        "write_json",
        lambda target, rows: report.write_json(target, rows, folder=tmp_path),
    )
    config = tmp_path / "small.yaml"
    config.write_text(SMALL)
    options = ["--rows=192", "--batch-size=8", "--rounds=1", "--waiting-calls=1"]
    options += [f"--config={config}"]
    monkeypatch.setattr(sys, "argv", ["bench", *options])
    input_pipeline.main()
    rows = json.loads((tmp_path / "bench-input.json").read_text())
    caches = ("memory", "file", "none")
    expected = ["bare", "bare, parsed", *caches, *(f"{cache}, augmented" for cache in caches)]
    waits, rows = rows[len(expected) :], rows[: len(expected)]
    assert [row["variant"] for row in rows] == expected
    assert [row["variant"] for row in waits] == expected[-3:]
    assert all(0 < row["waits"] < 1 for row in waits)
    assert all(row["rows_per_second"] > 0 and row["cpu_us_per_row"] > 0 for row in rows)
    assert rows[0]["ratio"] == 1
    assert "rows a second" in capsys.readouterr().out
