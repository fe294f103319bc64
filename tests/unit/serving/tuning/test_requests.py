"""The request that a model is tuned with comes from the version itself."""

from __future__ import annotations

import numpy as np
import pytest
from tensorflow_serving.apis import classification_pb2, predict_pb2, prediction_log_pb2

from serving.tuning.requests import NoRequest, tuning_request
from serving.warmup import WARMUP_FILE

import tensorflow as tf  # isort: skip


@pytest.fixture
def version(tmp_path):
    """A version with warmup requests of three rows: a Predict, and a Classify."""
    rows = np.arange(9, dtype=np.float32).reshape(3, 3)
    predict = prediction_log_pb2.PredictionLog()
    request = predict.predict_log.request
    request.model_spec.name, request.model_spec.signature_name = "m", "serving_default"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(rows))
    classify = prediction_log_pb2.PredictionLog()
    asked = classify.classify_log.request
    asked.model_spec.name, asked.model_spec.signature_name = "m", "classify"
    for number in range(3):
        feature = asked.input.example_list.examples.add().features.feature["x"]
        feature.float_list.value.append(number)
    path = tmp_path / "m" / "7" / WARMUP_FILE
    path.parent.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for log in (predict, classify):
            writer.write(log.SerializeToString())
    return tmp_path / "m" / "7"


def test_request_of_predict_is_the_first_row(version):
    request = tuning_request(version, "serving_default")
    message = predict_pb2.PredictRequest.FromString(request.message)
    assert request.method == "/tensorflow.serving.PredictionService/Predict"
    assert (request.model, message.model_spec.name) == ("m", "m")
    assert message.model_spec.signature_name == request.signature == "serving_default"
    np.testing.assert_array_equal(request.inputs["x"], [[0, 1, 2]])
    np.testing.assert_array_equal(tf.make_ndarray(message.inputs["x"]), [[0, 1, 2]])


def test_request_of_classify_goes_to_classify(version):
    request = tuning_request(version, "classify")
    message = classification_pb2.ClassificationRequest.FromString(request.message)
    assert request.method == "/tensorflow.serving.PredictionService/Classify"
    assert len(message.input.example_list.examples) == 1
    assert len(request.inputs["inputs"]) == 1


def test_request_when_no_warmup_asks_the_signature_then_names_those_that_are_asked(version):
    with pytest.raises(NoRequest, match="requests to classify, serving_default, not to embedding"):
        tuning_request(version, "embedding")


@pytest.mark.parametrize(
    ("manifest", "said"), [(None, "of another program"), ('{"run": "x"}', "of an older push")]
)
def test_request_when_the_version_has_no_warmup_then_says_whose_it_is(tmp_path, manifest, said):
    if manifest is not None:
        (tmp_path / "assets.extra").mkdir()
        (tmp_path / "assets.extra" / "tapeline.json").write_text(manifest)
    with pytest.raises(NoRequest, match=f"{said}, without warmup requests"):
        tuning_request(tmp_path, "serving_default")
