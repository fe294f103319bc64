"""TFRecords as rows: whole for a signature that parses them, else the features it asks for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from pipeline.config_file import ConfigError
from pipeline.predict.arrays import to_arrays
from pipeline.predict.record_rows import RecordRows
from serving.client.metadata import Signature

FEATURES = {"x": [1.5, 2.0], "n": [7], "word": [b"a\0"], "grid": [1.0, 2.0, 3.0, 4.0]}


def example(**features: list) -> bytes:
    message = tf.train.Example()
    for name, values in features.items():
        feature = message.features.feature[name]
        kinds = {bytes: feature.bytes_list, float: feature.float_list, int: feature.int64_list}
        if values:
            kinds[type(values[0])].value.extend(values)
        else:
            feature.float_list.SetInParent()
    return message.SerializeToString()


@pytest.fixture
def write(tmp_path):
    def to_file(*records: bytes, compression: str = "", name: str = "rows.tfrecord") -> str:
        with tf.io.TFRecordWriter(str(tmp_path / name), compression) as writer:
            for record in records:
                writer.write(record)
        return str(tmp_path / name)

    return to_file


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_records_when_the_signature_asks_for_features_then_these(write, spec, compression) -> None:
    path = write(example(**FEATURES), example(**FEATURES), compression=compression)
    signature = spec(
        x=("float32", [None, 2]),
        n=("int64", [None]),
        word=("object", [None]),
        grid=("float32", [None, 2, None]),
    )

    rows = list(RecordRows([path, path]).read(signature))

    assert [row.position for row in rows] == ["record 1", "record 2"] * 2
    features = dict(rows[0].features)
    assert features.pop("grid").tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert features == {"x": [1.5, 2.0], "n": 7, "word": b"a\0"}


def test_records_when_the_signature_takes_examples_then_as_they_are(write, spec) -> None:
    record = example(x=[1.0])
    (row,) = RecordRows([write(record)]).read(spec(examples=("object", [None])))
    assert row.features == {"examples": record}


@pytest.mark.parametrize("length", [0x8B1F, 0x078B1F], ids=hex)
def test_records_when_the_length_of_the_first_looks_like_gzip_then_read(
    write, spec, length
) -> None:
    record = b"x" * length
    rows = RecordRows([write(record)]).read(spec(examples=("object", [None])))
    assert [row.features["examples"] == record for row in rows] == [True]


@pytest.mark.parametrize(
    ("features", "error"),
    [
        ({"n": [1, 2]}, "record 2: n: found 2 values; allowed: one"),
        ({"n": []}, "record 2: n: found 0 values; allowed: one"),
        ({"n": [1], "grid": [1.0]}, r"record 2: grid: found 1 values; allowed: those of shape \[2"),
    ],
)
def test_record_when_a_feature_has_another_size_then_named(write, spec, features, error) -> None:
    path = write(example(**FEATURES), example(**features))
    signature = spec(n=("int64", [None]), grid=("float32", [None, 2, 2]))
    with pytest.raises(ConfigError, match=f"rows.tfrecord: {error}"):
        list(RecordRows([path]).read(signature))


def test_record_when_it_is_no_example_then_named(write, spec) -> None:
    with pytest.raises(
        ConfigError, match="record 1: bytes: found bytes that do not parse; allowed"
    ):
        list(RecordRows([write(b"\xff")]).read(spec(x=("float32", [None]))))


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_records_when_the_file_is_cut_then_said_after_the_whole_ones(
    write, spec, compression, tmp_path
) -> None:
    records = [example(x=np.random.default_rng(0).random(50).tolist()) for _ in range(3)]
    path = tmp_path / write(*records, compression=compression).rpartition("/")[2]
    path.write_bytes(path.read_bytes()[:-20])
    rows = RecordRows([str(path)]).read(spec(examples=("object", [None])))
    with pytest.raises(ConfigError, match=r"rows.tfrecord: record \d: found .*allowed: a TFRecord"):
        list(rows)


def test_records_when_there_is_no_file_then_refused_before_any_is_read() -> None:
    with pytest.raises(ConfigError, match="nowhere: ROWS: found No such file or directory"):
        RecordRows(["nowhere"])


def test_record_when_it_lacks_what_may_be_missing_then_has_none(write, spec) -> None:
    inputs = spec(x=("float32", [None]), words=("object", [None, None])).inputs
    specs = {name: replace(one, nullable=True) for name, one in inputs.items()}
    signature = Signature(specs, {}, "tensorflow/serving/predict")
    path = write(example(x=[1.5], words=[b"a", b"b"]), example(x=[]), example())
    rows = list(RecordRows([path]).read(signature))
    assert [dict(row.features) for row in rows] == [
        {"x": [1.5], "words": [b"a", b"b"]},
        {"x": [], "words": None},
        {"x": None, "words": None},
    ]
    arrays = to_arrays(rows, signature)
    np.testing.assert_array_equal(arrays["x"], np.array([1.5, np.nan, np.nan], np.float32))
    assert arrays["words"].tolist() == [[b"a", b"b"], [b"", b""], [b"", b""]]
    with pytest.raises(ConfigError, match="record 1: x: found 2 values; allowed: one, or none"):
        list(RecordRows([write(example(x=[1.0, 2.0]))]).read(signature))
