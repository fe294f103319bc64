"""A request to try a model with: where its example is from, and what is printed of it."""

from __future__ import annotations

import base64
import json
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip
from tensorflow_serving.apis import prediction_log_pb2  # isort: skip

from pipeline.config_file import ConfigError
from pipeline.sample_request import curl_line, python_snippet, sample_request
from serving.client.metadata import CLASSIFY_METHOD, Signature, TensorSpec
from serving.version_folders import WARMUP_FILE

PREDICT = "tensorflow/serving/predict"
STRINGS = TensorSpec(np.dtype(object), (None,))
SIGNATURES = {
    "serving_raw": Signature({"image": TensorSpec(np.dtype("float32"), (None, 64))}, {}, PREDICT),
    "serving_default": Signature({"examples": STRINGS}, {}, PREDICT),
    "classify": Signature({"inputs": STRINGS}, {}, CLASSIFY_METHOD),
    "pair": Signature({"n": TensorSpec(np.dtype("int64"), (None,)), "raw": STRINGS}, {}, PREDICT),
    "unknown": Signature({"x": TensorSpec(np.dtype("float32"), None)}, {}, PREDICT),
}


@pytest.fixture
def version(tmp_path) -> Path:
    (tmp_path / "assets.extra").mkdir()
    return tmp_path


@pytest.fixture
def of_digits(version) -> Path:
    manifest = {"data": {"dataset": "digits", "label": "digit"}}
    (version / "assets.extra" / "tapeline.json").write_text(json.dumps(manifest))
    return version


@pytest.fixture
def with_warmup(version) -> Path:
    """One and two rows for `pair`, one example for `classify`."""
    logs = []
    for rows in (1, 2):
        log = prediction_log_pb2.PredictionLog()
        request = log.predict_log.request
        request.model_spec.signature_name = "pair"
        request.inputs["n"].CopyFrom(tf.make_tensor_proto([7, 8][:rows], tf.int64))
        request.inputs["raw"].CopyFrom(tf.make_tensor_proto([b"\xff", b"b"][:rows]))
        logs.append(log)
    log = prediction_log_pb2.PredictionLog()
    log.classify_log.request.model_spec.signature_name = "classify"
    example = log.classify_log.request.input.example_list.examples.add()
    example.features.feature["x"].float_list.value.append(1)
    logs.append(log)
    with tf.io.TFRecordWriter(str(version / WARMUP_FILE)) as writer:
        for log in logs:
            writer.write(log.SerializeToString())
    return version


def test_sample_when_the_data_are_at_hand_then_of_these(of_digits) -> None:
    sample = sample_request(of_digits, "serving_raw", SIGNATURES, 2)

    assert sample.note is None
    body = json.loads(sample.body(in_columns=False))
    assert body["signature_name"] == "serving_raw"
    assert [len(row["image"]) for row in body["instances"]] == [64, 64]
    assert sum(body["instances"][0]["image"]) > 0
    columns = json.loads(sample.body(in_columns=True))["inputs"]
    assert columns == {"image": [row["image"] for row in body["instances"]]}


def test_sample_when_the_signature_takes_examples_then_serialized_as_base64(of_digits) -> None:
    body = json.loads(sample_request(of_digits, "serving_default", SIGNATURES, 1).body(False))

    (row,) = body["instances"]
    example = tf.train.Example.FromString(base64.b64decode(row["examples"]["b64"]))
    assert len(example.features.feature["image"].float_list.value) == 64


def test_sample_when_the_signature_classifies_then_examples_by_feature(of_digits) -> None:
    sample = sample_request(of_digits, "classify", SIGNATURES, 1)

    body = json.loads(sample.body(in_columns=False))
    assert sample.verb == "classify"
    assert [len(example["image"]) for example in body["examples"]] == [64]


def test_sample_when_the_data_are_not_at_hand_then_of_the_warmup_requests(with_warmup) -> None:
    sample = sample_request(with_warmup, "pair", SIGNATURES, 2)

    assert sample.note is not None
    assert sample.note.startswith(f"from {with_warmup / WARMUP_FILE}; {with_warmup}: --sample: ")
    assert json.loads(sample.body(in_columns=False))["instances"] == [
        {"n": 7, "raw": {"b64": "/w=="}},
        {"n": 8, "raw": "b"},
    ]
    classify = sample_request(with_warmup, "classify", SIGNATURES, 1)
    assert json.loads(classify.body(False))["examples"] == [{"x": [1.0]}]


def test_sample_when_there_is_no_example_then_zeros_and_a_note(version) -> None:
    sample = sample_request(version, "pair", SIGNATURES, 1)

    assert sample.note is not None
    assert sample.note.startswith("zeros; ")
    assert json.loads(sample.body(in_columns=True))["inputs"] == {"n": [0], "raw": [""]}


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("no", "--signature: found 'no'; allowed: serving_raw, serving_default, classify, pair"),
        ("unknown", "x: found float32 of any shape; allowed: an input of known type and shape"),
    ],
)
def test_sample_when_the_signature_cannot_be_asked_then_refused(version, name, error) -> None:
    with pytest.raises(ConfigError, match=error):
        sample_request(version, name, SIGNATURES, 1)


def test_curl_line_when_read_by_a_shell_then_one_argument_each() -> None:
    body = '{"word":"it\'s $HOME `x`"}'
    line = curl_line("http://h/v1/models/m:predict", body, {"--cacert": Path("my ca.pem")}, "")
    assert shlex.split(line) == [
        "curl", "--cacert", "my ca.pem", "-d", body, "http://h/v1/models/m:predict"
    ]  # fmt: skip


def test_curl_line_when_the_body_is_too_long_for_an_argument_then_piped() -> None:
    again = "tapeline request-sample 'my model' --body"
    line = curl_line("http://h/v1/models/m:predict", "x" * 200_000, {}, again)
    assert line == (
        "tapeline request-sample 'my model' --body | curl -d @- http://h/v1/models/m:predict"
    )


def test_curl_line_when_the_body_is_too_long_in_bytes_then_piped() -> None:
    line = curl_line("http://h/v1/models/m:predict", "ö" * 60_000, {}, "tapeline")
    assert line.startswith("tapeline | curl ")


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        (None, "GrpcClient('h:1', 'm') as"),
        ({"ca": None, "cert": None, "key": None}, "GrpcClient('h:1', 'm', tls=TLS()) as"),
        (
            {"ca": Path("my ca.pem"), "cert": Path("c.pem"), "key": Path("k.pem")},
            "GrpcClient('h:1', 'm', tls=TLS(ca=Path('my ca.pem'), cert=Path('c.pem'), "
            "key=Path('k.pem'))) as",
        ),
    ],
    ids=["clear", "system", "files"],
)
def test_snippet_when_the_server_is_asked_over_tls_then_the_program_does(
    version, tls, expected
) -> None:
    program = python_snippet("h:1", "m", {}, sample_request(version, "pair", SIGNATURES, 1), tls)
    assert expected in program
    imports = program.partition("\nwith ")[0]
    names: dict = {}
    exec(imports, names)
    assert {"TLS", "Path", "GrpcClient"} <= set(names)


def test_snippet_when_a_value_is_not_finite_then_still_a_program(version) -> None:
    sample = sample_request(version, "pair", SIGNATURES, 1)
    hard = {"n": np.array([np.nan, np.inf]), "raw": np.array([b"\xff'", b""], object)}
    sample = replace(sample, inputs=hard)
    program = python_snippet("host:8500", "m", {"version": 2, "label": None}, sample)
    compile(program, "snippet", "exec")
    assert "GrpcClient('host:8500', 'm')" in program
    assert program.endswith("signature='pair', version=2))")
    asked = program.partition("client.predict(")[2].partition(", signature=")[0]
    found = eval(asked, {"nan": float("nan"), "inf": float("inf")})
    np.testing.assert_equal(found["n"], [np.nan, np.inf])
    assert found["raw"] == [b"\xff'", b""]
