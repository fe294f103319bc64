"""Classify, Regress and MultiInference over gRPC."""

import pytest
from grpc import StatusCode
from tensorflow_serving.apis import classification_pb2, inference_pb2, regression_pb2

from serving.server.admission import Admission
from serving.server.peers import Alone
from tests.unit.serving.server.grpc_calls import calls, refusal

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


@pytest.fixture(scope="module")
def call(manager, loop):
    with calls(manager, loop, Alone(manager), Admission(4)) as made:
        yield made


def examples(message, *values, context=None):
    kind = message.input.example_list
    if context is not None:
        kind = message.input.example_list_with_context
        kind.context.features.feature["a"].float_list.value.append(context)
    kind.SetInParent()
    for value in values:
        added = kind.examples.add()
        if value is not None:
            added.features.feature["a"].float_list.value.append(value)
    return message


def classify(*values, signature="", name="examples", context=None):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    return examples(request, *values, context=context)


def regress(*values, signature="value"):
    request = regression_pb2.RegressionRequest()
    request.model_spec.name = "examples"
    request.model_spec.signature_name = signature
    return examples(request, *values)


def found_classes(result):
    return [[(c.label, c.score) for c in one.classes] for one in result.classifications]


def test_examples_when_classified_then_have_labels_and_scores(call):
    answer = call("Classify", classify(0.5, None, context=2))
    assert found_classes(answer.result) == [
        [("up", 0.5), ("down", -0.5)],
        [("up", 2), ("down", -2)],
    ]
    assert answer.model_spec.signature_name == "serving_default"
    answer = call("Classify", classify(1.5, signature="scores"))
    assert found_classes(answer.result) == [[("", 1.5), ("", -1.5)]]


def test_examples_when_regressed_then_have_values(call):
    answer = call("Regress", regress(0.5, 2))
    assert [one.value for one in answer.result.regressions] == [0.5, 2]
    assert answer.model_spec.version.value == 1


@pytest.mark.parametrize(
    ("method", "request_", "words"),
    [
        ("Classify", classify(), "Input is empty."),
        ("Classify", classify(1, name=""), "no name"),
        ("Classify", classify(1, signature="value"), "method_name"),
        ("Classify", classify(1, signature="zz"), "zz"),
        ("Classify", classify(1, signature="flat"), "num_classes"),
        ("Regress", regress(1, signature=""), "method_name"),
        ("Regress", regression_pb2.RegressionRequest(), "Missing ModelSpec"),
    ],
)
def test_examples_when_they_cannot_be_answered_then_the_message_says_why(
    call, method, request_, words
):
    assert words in refusal(call, StatusCode.INVALID_ARGUMENT, method, request_)


def multi(*tasks, names=None):
    request = inference_pb2.MultiInferenceRequest()
    for index, (signature, method) in enumerate(tasks):
        added = request.tasks.add(method_name=method)
        added.model_spec.name = names[index] if names else "examples"
        added.model_spec.signature_name = signature
    return examples(request, 0.5, 2)


def test_several_signatures_when_inferred_then_each_has_a_result_in_order(call):
    answer = call("MultiInference", multi(("value", REGRESS), ("", CLASSIFY)))
    first, second = answer.results
    assert [one.value for one in first.regression_result.regressions] == [0.5, 2]
    assert found_classes(second.classification_result)[0] == [("up", 0.5), ("down", -0.5)]
    assert [first.model_spec.signature_name, second.model_spec.signature_name] == [
        "value",
        "serving_default",
    ]


@pytest.mark.parametrize(
    ("code", "request_", "words"),
    [
        (StatusCode.INVALID_ARGUMENT, multi(), "Missing ModelSpec"),
        (StatusCode.INVALID_ARGUMENT, multi(("", CLASSIFY), names=[""]), "empty model name"),
        (
            StatusCode.INVALID_ARGUMENT,
            multi(("", CLASSIFY), ("value", REGRESS), names=["examples", "plain"]),
            "same model name",
        ),
        (
            StatusCode.INVALID_ARGUMENT,
            multi(("", CLASSIFY), ("serving_default", CLASSIFY)),
            "Duplicate evaluation",
        ),
        (StatusCode.INVALID_ARGUMENT, multi(("zz", CLASSIFY)), "not found in model graph"),
        (StatusCode.INVALID_ARGUMENT, multi(("", REGRESS)), "method_name"),
        (StatusCode.UNIMPLEMENTED, multi(("", "predict")), "Unsupported signature method_name"),
        (
            StatusCode.INVALID_ARGUMENT,
            multi(("value", REGRESS), ("elsewhere", REGRESS)),
            "Input tensor must be the same",
        ),
    ],
)
def test_several_signatures_when_they_do_not_go_together_then_are_refused(
    call, code, request_, words
):
    assert words in refusal(call, code, "MultiInference", request_)
