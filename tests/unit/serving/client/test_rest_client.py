"""What only REST has: addresses, and servers that are not TF Serving."""

from __future__ import annotations

import numpy as np
import pytest
from grpc import StatusCode

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from serving.client import RestClient, ServingClientError, Signature, TensorSpec
from serving.client.rest_json import outputs_of, predict_body, tensor_to_json

FLOAT = TensorSpec(np.dtype(np.float32), (None, 2))
UINT64 = TensorSpec(np.dtype(np.uint64), (None,))
TEXT = TensorSpec(np.dtype(object), (None,))


@pytest.fixture
def protocol() -> str:
    return "rest"


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8501", "ftp://host", "http://", "/path", "", "http://h:abc", "http://h:99999",
        "http://h:0", "http://h:-1", "http://[::1", "http://a\0", "http://h?x=1", "http://xn--a.b",
    ],
)  # fmt: skip
def test_client_when_the_address_is_none_then_refused(url) -> None:
    with pytest.raises(ValueError, match=r"url: found .*; allowed: http://HOST:PORT"):
        RestClient(url, "model")


def test_client_when_names_have_other_letters_then_they_are_quoted(client, model) -> None:
    with pytest.raises(ServingClientError):
        RestClient(client.endpoint + "/", "a/b").status(label="c d")
    assert model.asked == [("status", "a%2Fb", None, "c%20d", None)]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "INVALID_ARGUMENT"),
        (401, "UNAUTHENTICATED"),
        (404, "NOT_FOUND"),
        (409, "ABORTED"),
        (413, "INVALID_ARGUMENT"),
        (500, "INTERNAL"),
        (501, "UNIMPLEMENTED"),
        (504, "DEADLINE_EXCEEDED"),
        (302, "UNKNOWN"),
    ],
)
def test_error_when_it_has_a_status_then_the_code_it_stands_for(
    client, model, status, code
) -> None:
    model.faults = [(status, "why", {})]
    with pytest.raises(ServingClientError, match=f"{code}: why") as caught:
        client.status()
    assert caught.value.code is StatusCode[code]


def test_error_when_its_body_is_not_json_then_is_the_message(client, model) -> None:
    model.faults = [(403, b"<html>Forbidden</html>", {})]
    with pytest.raises(ServingClientError, match="PERMISSION_DENIED: <html>Forbidden</html>"):
        client.status()


def test_error_when_it_has_no_body_then_the_status_is_the_message(client, model) -> None:
    model.faults = [(404, b"", {})]
    with pytest.raises(ServingClientError, match="NOT_FOUND: HTTP 404 Not Found"):
        client.status()


@pytest.mark.parametrize(
    "answer",
    [b"<html>", b"", b"7", b"{}", b"[]", b'{"model_version_status": 7}', b'\xff{"a":'],
)
def test_answer_when_it_is_not_tf_servings_then_internal(client, model, answer) -> None:
    model.faults = [answer]
    with pytest.raises(ServingClientError, match="not an answer of TF Serving") as caught:
        client.status()
    assert caught.value.code is StatusCode.INTERNAL


def test_answer_when_it_is_not_in_the_encoding_it_names_then_internal(client, model) -> None:
    model.faults = [(200, b"no gzip", {"Content-Encoding": "gzip"})]
    with pytest.raises(ServingClientError, match="not an answer of TF Serving: ") as caught:
        client.status()
    assert caught.value.code is StatusCode.INTERNAL
    assert len(model.asked) == 1


def signature(**outputs: TensorSpec) -> Signature:
    return Signature({}, outputs, "tensorflow/serving/predict")


def test_body_when_it_holds_what_json_cannot_then_as_tf_serving_takes_it() -> None:
    body = predict_body(
        "s",
        {
            "x": np.array([[np.nan, np.inf], [-np.inf, 1]], np.float32),
            "n": np.array(2**63 - 1),
            "s": np.array([[b"\xff"]], object),
        },
    )
    assert body == (
        b'{"signature_name":"s","inputs":{"x":[[NaN,Infinity],[-Infinity,1.0]],'
        b'"n":9223372036854775807,"s":[[{"b64":"/w=="}]]}}'
    )


def test_tensor_when_it_is_a_scalar_then_a_value() -> None:
    assert tensor_to_json(np.array(b"a", object)) == {"b64": "YQ=="}
    assert tensor_to_json(np.array(1.5, np.float32)) == 1.5


@pytest.mark.parametrize(
    ("outputs", "spec", "expected"),
    [
        pytest.param([[1, 2.5]], FLOAT, [[1, 2.5]], id="numbers"),
        pytest.param([], FLOAT, np.zeros([0, 2]), id="none"),
        pytest.param({"b64": "AA=="}, TensorSpec(np.dtype(object), ()), b"\0", id="scalar bytes"),
        pytest.param([2**64 - 1, 1], UINT64, [2**64 - 1, 1], id="large"),
        pytest.param(["\u00f6"], TEXT, ["ö".encode()], id="text"),
    ],
)
def test_output_when_it_is_the_only_one_then_read_without_a_name(outputs, spec, expected) -> None:
    (found,) = outputs_of({"outputs": outputs}, signature(only=spec)).values()
    assert found.dtype == spec.dtype
    np.testing.assert_array_equal(found, np.array(expected, spec.dtype))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param({"predictions": []}, "found an answer without outputs", id="row format"),
        pytest.param({"outputs": [1]}, "found one output; allowed: the outputs", id="one"),
        pytest.param({"outputs": {"a": [1]}}, r"found \['a'\]; allowed: the outputs", id="missing"),
        pytest.param({"outputs": {"a": ["x"], "b": ["x"]}}, "a: found <U1 is not", id="text"),
        pytest.param({"outputs": {"a": [[1], [1, 2]], "b": []}}, "a: found ", id="ragged"),
        pytest.param({"outputs": {"a": [[1, 1]], "b": [1]}}, "b: found int in place of", id="int"),
        pytest.param({"outputs": {"a": [[1, 1]], "b": [{"b64": "?"}]}}, "b: found ", id="base64"),
    ],
)
def test_outputs_when_they_are_not_the_signatures_then_refused(answer, error) -> None:
    with pytest.raises(ValueError, match=error):
        outputs_of(answer, signature(a=FLOAT, b=TEXT))


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (1.7, "int64"), (300, "uint8"), (-1, "uint64"), (2**64, "uint64"), (2**63, "int64"),
        (True, "float32"), (1, "bool"), (1e39, "float32"), (None, "float32"), ("1", "int32"),
    ],
)  # fmt: skip
def test_output_when_its_type_would_lose_some_of_it_then_refused(value, dtype) -> None:
    spec = TensorSpec(np.dtype(dtype), (None,))
    with pytest.raises(ValueError, match=r"only: found .*; allowed: "):
        outputs_of({"outputs": [value]}, signature(only=spec))


def test_answer_when_a_newer_version_gives_fractions_then_none_is_lost(client, model) -> None:
    model.dtype = tf.int32
    assert client.predict({"x": [[1, 2]]}, signature="one")["only"].tolist() == [3]
    model.dtype = tf.float32
    answer = client.predict({"x": [[1, 0.5]]}, signature="one")["only"]
    assert (answer.dtype, answer.tolist()) == (np.float32, [1.5])


def test_answer_when_it_has_fractions_of_integers_then_internal(client, model) -> None:
    model.dtype = tf.int32
    client.predict({"x": [[1, 2]]}, signature="one")
    model.faults = [b'{"outputs": [1.5]}']
    with pytest.raises(ServingClientError, match=r"only: found .*; allowed: int32") as caught:
        client.predict({"x": [[1, 2]]}, signature="one")
    assert caught.value.code is StatusCode.INTERNAL
