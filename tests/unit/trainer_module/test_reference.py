"""Questions and answers of the model in memory, in TensorFlow Serving's own format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tensorflow_serving.apis import prediction_log_pb2

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.export import ServingModel  # isort: skip
from trainer_module.reference import read_serialized, write_reference_answers  # isort: skip
from trainer_module.tasks.digits import Digits  # isort: skip

RAW_SPEC = {
    "image": tf.io.FixedLenFeature([64], tf.float32),
    "digit": tf.io.FixedLenFeature([1], tf.int64),
}


@pytest.fixture(scope="module")
def serving(digits_transform) -> ServingModel:
    task = Digits(filters=4, embedding=8)
    model = task.build_model(digits_transform.transformed_feature_spec())
    return ServingModel(task, model, digits_transform, RAW_SPEC, "digit")


@pytest.fixture(scope="module")
def logs(serving, digit_examples, tmp_path_factory) -> dict:
    """The predict logs by signature, parsed."""
    path = str(tmp_path_factory.mktemp("reference") / "answers.tfrecord")
    write_reference_answers(serving, digit_examples[:7], path)
    parsed = [
        prediction_log_pb2.PredictionLog.FromString(record.numpy())
        for record in tf.data.TFRecordDataset(path)
    ]
    assert len(parsed) == 5
    return {log.predict_log.request.model_spec.signature_name: log.predict_log for log in parsed}


def test_reference_answers_when_written_then_cover_every_signature_once(serving, logs):
    assert logs.keys() == serving.signatures.keys()


def test_reference_answers_when_replayed_then_are_those_of_the_model_in_memory(serving, logs):
    for name, log in logs.items():
        inputs = {key: tf.constant(tf.make_ndarray(p)) for key, p in log.request.inputs.items()}
        expected = serving.signatures[name](**inputs)
        assert set(log.response.outputs) == set(expected)
        for key, value in expected.items():
            np.testing.assert_array_equal(tf.make_ndarray(log.response.outputs[key]), value)


def test_reference_answers_when_written_then_ask_about_the_examples_given(logs, digit_examples):
    for name in ("serving_default", "transform_features"):
        found = tf.make_ndarray(logs[name].request.inputs["examples"])
        assert found.tolist() == digit_examples[:7]
    parsed = tf.io.parse_example(digit_examples[:7], {"image": RAW_SPEC["image"]})
    for name in ("serving_raw", "embedding"):
        assert set(logs[name].request.inputs) == {"image"}
        found = tf.make_ndarray(logs[name].request.inputs["image"])
        np.testing.assert_array_equal(found, parsed["image"])
    assert set(logs["transformed"].request.inputs) == {"image"}
    found = tf.make_ndarray(logs["transformed"].request.inputs["image"])
    np.testing.assert_allclose(found.reshape(-1, 64), parsed["image"] / 16.0)


def _write(path: Path, examples: list[bytes]) -> None:
    with tf.io.TFRecordWriter(str(path), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        for example in examples:
            writer.write(example)


@pytest.mark.parametrize(("count", "expected"), [(2, 2), (5, 5), (100, 6)])
def test_read_serialized_when_given_files_then_gives_up_to_count_in_their_order(
    tmp_path, digit_examples, count, expected
):
    _write(tmp_path / "b.gz", digit_examples[4:6])
    _write(tmp_path / "a.gz", digit_examples[:4])
    found = read_serialized([str(tmp_path / "*.gz")], count)
    assert found == digit_examples[:expected]
