"""Batches that follow from the data rather than from a clock."""

import json
import uuid
from pathlib import Path

import apache_beam as beam
import pytest
import tensorflow as tf
from tfx.types.standard_artifacts import Examples
from tfx_bsl.coders import batch_util
from tfx_bsl.tfxio import tf_example_record

from components.batched import (
    BATCH_BYTES,
    MOST_ROWS,
    Evaluator,
    StatisticsGen,
    Transform,
    batch_rows,
    batches_of,
)


def account(folder, rows, size):
    splits = {"train": rows - 2, "eval": 1, "test": 1}
    (folder / "intake.json").write_text(json.dumps({"splits": splits, "bytes": rows * size}))
    return str(folder)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (100, MOST_ROWS),
        (3 * 2**10, BATCH_BYTES // (3 * 2**10)),
        (2**18, 4),
        (100 * 2**20, 1),
    ],
)
def test_batch_rows_when_rows_are_larger_then_fewer_make_a_batch(size, expected, tmp_path):
    assert batch_rows(account(tmp_path, 1000, size)) == expected


def test_batch_rows_when_nothing_tells_the_size_then_is_none(tmp_path):
    assert batch_rows(str(tmp_path)) is None
    assert batch_rows(account(tmp_path, 1000, 0)) is None


def test_batches_of_when_rows_are_read_then_each_batch_but_the_last_has_so_many(tmp_path):
    path = str(tmp_path / "rows")
    with tf.io.TFRecordWriter(path) as writer:
        for number in range(20):
            feature = tf.train.Feature(int64_list=tf.train.Int64List(value=[number]))
            features = tf.train.Features(feature={"a": feature})
            writer.write(tf.train.Example(features=features).SerializeToString())
    with batches_of(7), beam.Pipeline("DirectRunner") as pipeline:
        batches = pipeline | tf_example_record.TFExampleRecord(path).BeamSource()
        _ = batches | beam.Map(_note, str(tmp_path))
    sizes = sorted(int(file.read_text()) for file in tmp_path.glob("size-*"))
    assert sizes == [6, 7, 7]


def _note(batch, folder):
    Path(folder, f"size-{uuid.uuid4()}").write_text(str(batch.num_rows))


def test_batches_of_when_what_is_inside_fails_then_gives_the_rule_back():
    before = batch_util.GetBatchElementsKwargs
    with pytest.raises(RuntimeError), batches_of(7):
        raise RuntimeError
    assert batch_util.GetBatchElementsKwargs is before


@pytest.mark.parametrize("component", [StatisticsGen, Transform, Evaluator])
def test_executor_when_it_runs_then_tfx_reads_in_batches_of_the_rows_size(
    component, artifact, tmp_path, monkeypatch
):
    executor = component.EXECUTOR_SPEC.executor_class
    examples = artifact(Examples)
    account(tmp_path / f"{Examples.TYPE_NAME}-0", 1000, 2**18)
    seen = []

    def tfx_do(self, input_dict, output_dict, exec_properties):
        seen.append(batch_util.GetBatchElementsKwargs(None))

    tfx_executor = executor.__mro__[2]
    assert tfx_executor.__module__.startswith("tfx.components.")
    monkeypatch.setattr(tfx_executor, "Do", tfx_do)
    executor().Do({"examples": [examples]}, {}, {})
    assert seen == [{"min_batch_size": 4, "max_batch_size": 4}]
