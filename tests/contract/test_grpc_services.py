"""gRPC: Classify, Regress, MultiInference, GetModelMetadata, GetModelStatus."""

import pytest
from grpc import StatusCode
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    input_pb2,
    regression_pb2,
)

from tests.contract.clients import TIMEOUT, example, example_list, model_spec

CLASSIFY = "tensorflow/serving/classify"
REGRESS = "tensorflow/serving/regress"
TWO = example_list(example(x=2.0), example(x=20.0))
AVAILABLE = get_model_status_pb2.ModelVersionStatus.State.AVAILABLE


def classification(examples=TWO, signature="classify_with_labels", **spec):
    return classification_pb2.ClassificationRequest(
        model_spec=model_spec("half_plus_two", signature, **spec), input=examples
    )


def regression(examples=TWO, signature="regress_x_to_y", **spec):
    return regression_pb2.RegressionRequest(
        model_spec=model_spec("half_plus_two", signature, **spec), input=examples
    )


def multi(*tasks, examples=TWO):
    """Args:
    tasks: (model, signature, method) of each.
    """
    return inference_pb2.MultiInferenceRequest(
        tasks=[
            inference_pb2.InferenceTask(
                model_spec=model_spec(model, signature, version=1), method_name=method
            )
            for model, signature, method in tasks
        ],
        input=examples,
    )


def test_classify_when_answered_then_has_labels_and_scores(grpc_client):
    response = grpc_client.prediction.Classify(classification(version=1), TIMEOUT)
    found = [
        [(entry.label, entry.score) for entry in item.classes]
        for item in response.result.classifications
    ]
    assert found == [[("plus", 3.0), ("minus", -3.0)], [("plus", 12.0), ("minus", -12.0)]]
    spec = response.model_spec
    assert (spec.name, spec.version.value) == ("half_plus_two", 1)
    assert spec.signature_name == "classify_with_labels"


@pytest.mark.parametrize(
    ("signature", "expected"),
    [("classify_x_to_y", [("", 3.0)]), ("classify_labels_only", [("plus", 0.0), ("minus", 0.0)])],
)
def test_classify_when_classes_or_scores_are_missing_then_their_fields_are_empty(
    grpc_client, signature, expected
):
    request = classification(example_list(example(x=2.0)), signature, version=1)
    (found,) = grpc_client.prediction.Classify(request, TIMEOUT).result.classifications
    assert [(entry.label, entry.score) for entry in found.classes] == expected


def test_regress_when_answered_then_has_a_value_for_each_example(grpc_client):
    response = grpc_client.prediction.Regress(regression(label="stable"), TIMEOUT)
    assert [entry.value for entry in response.result.regressions] == [3.0, 12.0]
    spec = response.model_spec
    assert (spec.name, spec.version.value) == ("half_plus_two", 1)
    assert spec.signature_name == "regress_x_to_y"


def test_regress_when_there_is_a_context_then_it_belongs_to_every_example(grpc_client):
    examples = input_pb2.Input(
        example_list_with_context=input_pb2.ExampleListWithContext(
            examples=[example(x=2.0), example(x=20.0)], context=example(x2=4.0)
        )
    )
    request = regression(examples, "regress_x2_to_y", version=1)
    response = grpc_client.prediction.Regress(request, TIMEOUT)
    assert [entry.value for entry in response.result.regressions] == [4.0, 4.0]


@pytest.mark.parametrize(
    "examples", [input_pb2.Input(), example_list()], ids=["no kind", "no examples"]
)
def test_examples_when_there_are_none_then_are_an_invalid_argument(grpc_client, refused, examples):
    stub = grpc_client.prediction
    refused(StatusCode.INVALID_ARGUMENT, stub.Classify, classification(examples), TIMEOUT)
    refused(StatusCode.INVALID_ARGUMENT, stub.Regress, regression(examples), TIMEOUT)


@pytest.mark.parametrize("signature", ["", "regress_x_to_y"])
def test_classify_when_the_signature_is_of_another_method_then_is_refused(
    grpc_client, refused, signature
):
    request = classification(signature=signature)
    message = refused(
        StatusCode.INVALID_ARGUMENT, grpc_client.prediction.Classify, request, TIMEOUT
    )
    assert CLASSIFY in message


@pytest.mark.parametrize("signature", ["", "classify_x_to_y"])
def test_regress_when_the_signature_is_of_another_method_then_is_refused(
    grpc_client, refused, signature
):
    request = regression(signature=signature)
    message = refused(StatusCode.INVALID_ARGUMENT, grpc_client.prediction.Regress, request, TIMEOUT)
    assert REGRESS in message


def test_a_model_or_a_spec_when_missing_then_classify_and_regress_are_refused(grpc_client, refused):
    stub = grpc_client.prediction
    for method, request in (
        (stub.Classify, classification_pb2.ClassificationRequest(input=TWO)),
        (stub.Regress, regression_pb2.RegressionRequest(input=TWO)),
    ):
        refused(StatusCode.INVALID_ARGUMENT, method, request, TIMEOUT)
        request.model_spec.name = "nope"
        assert "nope" in refused(StatusCode.NOT_FOUND, method, request, TIMEOUT)


def test_multi_inference_when_answered_then_has_a_result_for_each_task_in_order(grpc_client):
    request = multi(
        ("half_plus_two", "regress_x_to_y", REGRESS),
        ("half_plus_two", "classify_x_to_y", CLASSIFY),
    )
    first, second = grpc_client.prediction.MultiInference(request, TIMEOUT).results
    assert [entry.value for entry in first.regression_result.regressions] == [3.0, 12.0]
    scores = [item.classes[0].score for item in second.classification_result.classifications]
    assert scores == [3.0, 12.0]
    for result, signature in ((first, "regress_x_to_y"), (second, "classify_x_to_y")):
        spec = result.model_spec
        assert (spec.name, spec.version.value) == ("half_plus_two", 1)
        assert spec.signature_name == signature


@pytest.mark.parametrize(
    ("tasks", "code"),
    [
        ([], StatusCode.INVALID_ARGUMENT),
        ([("", "regress_x_to_y", REGRESS)], StatusCode.INVALID_ARGUMENT),
        ([("nope", "regress_x_to_y", REGRESS)], StatusCode.NOT_FOUND),
        ([("half_plus_two", "nope", REGRESS)], StatusCode.INVALID_ARGUMENT),
        ([("half_plus_two", "regress_x_to_y", REGRESS)] * 2, StatusCode.INVALID_ARGUMENT),
        (
            [
                ("half_plus_two", "regress_x_to_y", REGRESS),
                ("every_type", "serving_default", CLASSIFY),
            ],
            StatusCode.INVALID_ARGUMENT,
        ),
        ([("half_plus_two", "regress_x_to_y", CLASSIFY)], StatusCode.INVALID_ARGUMENT),
        (
            [("half_plus_two", "serving_default", "tensorflow/serving/predict")],
            StatusCode.UNIMPLEMENTED,
        ),
    ],
    ids=[
        "no task",
        "no name",
        "unknown model",
        "unknown signature",
        "signature twice",
        "two models",
        "another method",
        "predict",
    ],
)
def test_multi_inference_when_it_does_not_fit_then_is_refused(grpc_client, refused, tasks, code):
    refused(code, grpc_client.prediction.MultiInference, multi(*tasks), TIMEOUT)


def metadata(field=("signature_def",), **spec):
    return get_model_metadata_pb2.GetModelMetadataRequest(
        model_spec=model_spec("half_plus_two", **spec), metadata_field=field
    )


@pytest.mark.parametrize(
    ("spec", "version"),
    [({}, 2), ({"version": 1}, 1), ({"label": "stable"}, 1)],
    ids=["latest", "version", "label"],
)
def test_metadata_when_asked_for_then_has_the_signatures(grpc_client, spec, version):
    response = grpc_client.prediction.GetModelMetadata(metadata(**spec), TIMEOUT)
    assert response.model_spec.name == "half_plus_two"
    assert response.model_spec.version.value == version
    found = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(found)
    assert found.signature_def["serving_default"].inputs["x"].tensor_shape.dim[0].size == -1
    assert found.signature_def["classify_x_to_y"].method_name == CLASSIFY
    assert found.signature_def["regress_x_to_y"].method_name == REGRESS


def test_metadata_when_no_field_or_another_is_named_then_is_an_invalid_argument(
    grpc_client, refused
):
    method = grpc_client.prediction.GetModelMetadata
    refused(StatusCode.INVALID_ARGUMENT, method, metadata(field=()), TIMEOUT)
    for field in (["nope"], ["signature_def", "nope"]):
        message = refused(StatusCode.INVALID_ARGUMENT, method, metadata(field=field), TIMEOUT)
        assert message
    request = metadata()
    request.ClearField("model_spec")
    refused(StatusCode.INVALID_ARGUMENT, method, request, TIMEOUT)
    refused(StatusCode.NOT_FOUND, method, metadata(version=99), TIMEOUT)


def test_status_when_asked_for_then_lists_the_versions_newest_first(grpc_client):
    assert list(grpc_client.status("half_plus_two").items()) == [(2, AVAILABLE), (1, AVAILABLE)]
    assert grpc_client.status("half_plus_two", version=1) == {1: AVAILABLE}


def test_status_when_unknown_or_without_a_spec_then_is_an_error(grpc_client, refused):
    assert "nope" in refused(StatusCode.NOT_FOUND, grpc_client.status, "nope")
    refused(StatusCode.NOT_FOUND, grpc_client.status, "half_plus_two", version=99)
    request = get_model_status_pb2.GetModelStatusRequest()
    method = grpc_client.models.GetModelStatus
    refused(StatusCode.INVALID_ARGUMENT, method, request, TIMEOUT)
