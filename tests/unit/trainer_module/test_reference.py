"""Questions and answers of the model in memory, in TensorFlow Serving's own format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tensorflow_serving.apis import prediction_log_pb2

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from serving.prediction_logs import exchange, read_logs  # isort: skip
from trainer_module.export import ServingModel  # isort: skip
from trainer_module.reference import read_serialized, write_reference_answers  # isort: skip
from trainer_module.tasks.digits import Digits  # isort: skip

RAW_SPEC = {
    "image": tf.io.FixedLenFeature([64], tf.float32),
    "digit": tf.io.FixedLenFeature([1], tf.int64),
}


class Graded(Digits):
    """The digits task, which also says how sure it is of a three."""

    def regression(self, outputs) -> tf.Tensor:
        return tf.nn.softmax(outputs["class"])[:, 3]


@pytest.fixture(scope="module")
def serving(digits_transform) -> ServingModel:
    task = Graded(filters=4, embedding=8)
    model = task.build_model(digits_transform.transformed_feature_spec())
    return ServingModel(task, model, digits_transform, RAW_SPEC, "digit")


@pytest.fixture(scope="module")
def path(serving, digit_examples, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("reference") / "answers.tfrecord"
    write_reference_answers(serving, digit_examples[:7], str(path))
    return path


@pytest.fixture(scope="module")
def logs(path) -> dict:
    """The logs by signature, each of the kind that its method calls for."""
    parsed = [
        prediction_log_pb2.PredictionLog.FromString(record.numpy())
        for record in tf.data.TFRecordDataset(str(path))
    ]
    found = {}
    for log in parsed:
        kind = log.WhichOneof("log_type")
        name = getattr(log, kind).request.model_spec.signature_name
        assert kind == {"classify": "classify_log", "regress": "regress_log"}.get(
            name, "predict_log"
        )
        found[name] = getattr(log, kind)
    assert len(found) == len(parsed)
    return found


def test_reference_answers_when_written_then_cover_every_signature_once(serving, logs):
    assert logs.keys() == serving.signatures.keys() >= {"classify", "regress", "transformed"}


def test_reference_answers_when_replayed_then_are_those_of_the_model_in_memory(
    serving, path, digit_examples
):
    asked = [exchange(log) for log in read_logs(path)]
    assert {one.signature for one in asked} == serving.signatures.keys()
    for one in asked:
        inputs = {key: tf.constant(value) for key, value in one.inputs.items()}
        expected = serving.signatures[one.signature](**inputs)
        assert set(one.outputs) == set(expected)
        for key, value in expected.items():
            np.testing.assert_array_equal(one.outputs[key], value.numpy())


def test_reference_answers_when_of_classify_then_pair_each_class_with_its_score(
    serving, logs, digit_examples
):
    examples = tf.constant(digit_examples[:7])
    scores = serving.signatures["serving_default"](examples=examples)["probabilities"].numpy()
    rows = logs["classify"].response.result.classifications
    assert len(rows) == 7
    for row, expected in zip(rows, scores, strict=True):
        assert [found.label for found in row.classes] == [str(digit) for digit in range(10)]
        np.testing.assert_allclose([found.score for found in row.classes], expected, atol=1e-6)
    graded = [row.value for row in logs["regress"].response.result.regressions]
    np.testing.assert_allclose(graded, scores[:, 3], atol=1e-6)


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
