"""gRPC: Predict."""

import numpy as np
import pytest
import tensorflow as tf
from grpc import StatusCode
from tensorflow_serving.apis import predict_pb2

from tests.contract.clients import arrays, predict_request
from tests.contract.models import LABELS, floats

X = {"x": floats(1.0, 2.0)}
COLUMNS = {
    "count": np.array([2**53 + 1, -1], np.int64),
    "index": np.array([7, -8], np.int32),
    "weights": np.array([[0.5, 1.5], [2.0, 3.0]], np.float32),
    "ratio": np.array([0.1, 1e300], np.float64),
    "flag": np.array([True, False]),
    "text": np.array(["é".encode(), b""], object),
    "image_bytes": np.array([bytes(range(256)), b"\0\0"], object),
}


def test_predict_when_no_signature_is_named_then_is_serving_default_of_the_newest(grpc_client):
    response = grpc_client.predict("half_plus_two", X)
    assert arrays(response)["y"].tolist() == [3.5, 4.0]
    spec = response.model_spec
    assert (spec.name, spec.version.value) == ("half_plus_two", 2)
    assert spec.signature_name == "serving_default"


@pytest.mark.parametrize("version", [1, 2])
def test_predict_when_a_version_is_named_then_that_one_answers(grpc_client, version):
    response = grpc_client.predict("half_plus_two", X, version=version)
    assert arrays(response)["y"].tolist() == [1.5 + version, 2.0 + version]
    assert response.model_spec.version.value == version


@pytest.mark.parametrize(("label", "version"), LABELS.items())
def test_predict_when_a_label_is_named_then_its_version_answers(grpc_client, label, version):
    response = grpc_client.predict("half_plus_two", X, label=label)
    assert response.model_spec.version.value == version
    assert arrays(response)["y"].tolist() == [1.5 + version, 2.0 + version]


def test_predict_when_every_type_is_sent_then_each_comes_back_in_its_typed_field(grpc_client):
    outputs = grpc_client.predict("every_type", COLUMNS).outputs
    assert set(outputs) == {*COLUMNS, "length"}
    assert all(not tensor.tensor_content for tensor in outputs.values())
    assert list(outputs["count"].int64_val) == [2**53 + 2, 0]
    assert list(outputs["index"].int_val) == [8, -7]
    assert list(outputs["weights"].float_val) == [1.0, 3.0, 4.0, 6.0]
    assert [size.size for size in outputs["weights"].tensor_shape.dim] == [2, 2]
    assert list(outputs["ratio"].double_val) == [0.05, 5e299]
    assert list(outputs["flag"].bool_val) == [False, True]
    assert list(outputs["text"].string_val) == ["é!".encode(), b"!"]
    assert list(outputs["image_bytes"].string_val) == [bytes(range(256)), b"\0\0"]
    assert list(outputs["length"].int_val) == [256, 2]
    assert outputs["length"].dtype == tf.int32.as_datatype_enum


def test_an_input_when_in_its_typed_field_or_as_content_then_is_the_same(grpc_client):
    content = predict_request("half_plus_two", X)
    typed = predict_pb2.PredictRequest()
    typed.CopyFrom(content)
    tensor = typed.inputs["x"]
    content.inputs["x"].ClearField("float_val")
    content.inputs["x"].tensor_content = floats(1.0, 2.0).tobytes()
    tensor.ClearField("tensor_content")
    tensor.ClearField("float_val")
    tensor.float_val.extend([1.0, 2.0])
    for request in (content, typed):
        assert arrays(grpc_client.prediction.Predict(request, 60))["y"].tolist() == [3.5, 4.0]


def test_an_input_when_one_value_stands_for_all_then_is_filled_up(grpc_client):
    request = predict_request("half_plus_two", {"x": floats(5.0)})
    request.inputs["x"].ClearField("tensor_content")
    request.inputs["x"].float_val[:] = [5.0]
    request.inputs["x"].tensor_shape.dim[0].size = 3
    assert arrays(grpc_client.prediction.Predict(request, 60))["y"].tolist() == [5.5] * 3


def test_output_filter_when_given_then_only_these_are_answered(grpc_client):
    response = grpc_client.predict("every_type", COLUMNS, output_filter=["text", "count"])
    assert set(response.outputs) == {"text", "count"}


def test_a_batch_when_empty_then_the_answer_is_empty(grpc_client):
    found = arrays(grpc_client.predict("half_plus_two", {"x": floats()}))["y"]
    assert found.shape == (0,)


def test_a_signature_when_of_another_method_then_predict_runs_it(grpc_client):
    example = tf.train.Example()
    example.features.feature["x"].float_list.value.append(2.0)
    inputs = {"inputs": np.array([example.SerializeToString()], object)}
    response = grpc_client.predict("half_plus_two", inputs, signature="regress_x_to_y", version=1)
    assert arrays(response)["outputs"].tolist() == [3.0]
    assert response.model_spec.signature_name == "regress_x_to_y"


@pytest.mark.parametrize(
    ("inputs", "spec"),
    [
        ({"y": floats(1.0)}, {}),
        ({}, {}),
        ({**X, "y": floats(1.0)}, {}),
        ({"x": np.array([1.0])}, {}),
        ({"x": np.array([1], np.int64)}, {}),
        ({"x": np.array([b"1"], object)}, {}),
        (X, {"output_filter": ["nope"]}),
        (X, {"output_filter": ["y", "y"]}),
    ],
    ids=[
        "wrong alias",
        "no input",
        "more inputs",
        "double",
        "int64",
        "string",
        "unknown output",
        "duplicate output",
    ],
)
def test_a_request_when_it_does_not_fit_the_signature_then_is_an_invalid_argument(
    grpc_client, refused, inputs, spec
):
    message = refused(
        StatusCode.INVALID_ARGUMENT, grpc_client.predict, "half_plus_two", inputs, **spec
    )
    assert message


@pytest.mark.parametrize(
    "weights",
    [
        np.ones([2], np.float32),
        np.ones([2, 3], np.float32),
        np.ones([2, 2, 2], np.float32),
        np.float32(1.0),
    ],
    ids=lambda value: f"shape {np.shape(value)}",
)
def test_a_rank_or_a_shape_when_it_does_not_fit_then_the_server_outlives_it(
    grpc_client, refused, weights
):
    columns = {**COLUMNS, "weights": weights}
    refused(StatusCode.INVALID_ARGUMENT, grpc_client.predict, "every_type", columns)
    assert grpc_client.predict("every_type", COLUMNS).outputs


@pytest.mark.parametrize(
    "spoil",
    [
        lambda tensor: tensor.tensor_shape.dim[0].__setattr__("size", 1000),
        lambda tensor: tensor.tensor_shape.dim[0].__setattr__("size", 2**62),
        lambda tensor: tensor.tensor_shape.dim[0].__setattr__("size", -1),
        lambda tensor: tensor.__setattr__("tensor_content", b"\0\0\0"),
        lambda tensor: tensor.__setattr__("dtype", 0),
        lambda tensor: tensor.__setattr__("dtype", 4711),
        lambda tensor: tensor.tensor_shape.__setattr__("unknown_rank", True),
    ],
    ids=[
        "content too short",
        "size of exabytes",
        "negative size",
        "content of odd bytes",
        "no dtype",
        "unknown dtype",
        "unknown rank",
    ],
)
def test_a_tensor_when_broken_then_is_an_invalid_argument(grpc_client, refused, spoil):
    request = predict_request("half_plus_two", X)
    tensor = request.inputs["x"]
    tensor.ClearField("float_val")
    tensor.tensor_content = floats(1.0, 2.0).tobytes()
    spoil(tensor)
    refused(StatusCode.INVALID_ARGUMENT, grpc_client.prediction.Predict, request, 60)
    assert grpc_client.predict("half_plus_two", X).outputs


def test_a_name_when_empty_or_the_spec_missing_then_is_an_invalid_argument(grpc_client, refused):
    refused(StatusCode.INVALID_ARGUMENT, grpc_client.predict, "", X)
    without = predict_pb2.PredictRequest()
    refused(StatusCode.INVALID_ARGUMENT, grpc_client.prediction.Predict, without, 60)


def test_a_model_or_version_when_unknown_then_is_not_found(grpc_client, refused):
    message = refused(StatusCode.NOT_FOUND, grpc_client.predict, "nope", X)
    assert message == "Servable not found for request: Latest(nope)"
    message = refused(StatusCode.NOT_FOUND, grpc_client.predict, "half_plus_two", X, version=9)
    assert message == "Servable not found for request: Specific(half_plus_two, 9)"


def test_a_label_when_unknown_then_is_an_invalid_argument(grpc_client, refused):
    message = refused(
        StatusCode.INVALID_ARGUMENT, grpc_client.predict, "half_plus_two", X, label="zz"
    )
    assert "Unrecognized servable version label: zz" in message


def test_a_signature_when_unknown_then_is_a_failed_precondition(grpc_client, refused):
    message = refused(
        StatusCode.FAILED_PRECONDITION, grpc_client.predict, "half_plus_two", X, signature="nope"
    )
    assert "nope" in message


def test_a_variable_when_it_was_not_saved_then_is_a_failed_precondition(grpc_client, refused):
    message = refused(StatusCode.FAILED_PRECONDITION, grpc_client.predict, "unrestored", X)
    assert "variable" in message


@pytest.mark.parametrize(
    ("signature", "inputs", "code"),
    [
        ("read", {"path": ["/nonexistent/file"]}, StatusCode.NOT_FOUND),
        ("read", {"path": ["nosuchscheme://file"]}, StatusCode.UNIMPLEMENTED),
        ("take", {"turn": floats(1.0)}, StatusCode.OUT_OF_RANGE),
        ("put", {"turn": floats(1.0)}, StatusCode.CANCELLED),
        ("unpack", {"packed": ["not compressed"]}, StatusCode.DATA_LOSS),
        ("allocate", {"size": np.array([2**46])}, StatusCode.RESOURCE_EXHAUSTED),
    ],
    ids=lambda value: value.name if isinstance(value, StatusCode) else "",
)
def test_a_models_own_error_when_it_has_a_code_then_is_sent_with_it(
    grpc_client, refused, signature, inputs, code
):
    assert refused(code, grpc_client.predict, "errors", inputs, signature=signature)
