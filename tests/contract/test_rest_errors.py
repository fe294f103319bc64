"""REST: errors by their canonical code, and whom they name."""

import pytest

from tests.contract.models import MODELS

INSTANCES = {"instances": [1.0]}
VERBS = {
    "predict": INSTANCES,
    "classify": {"signature_name": "classify_x_to_y", "examples": [{"x": 2.0}]},
    "regress": {"signature_name": "regress_x_to_y", "examples": [{"x": 2.0}]},
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_model_when_unknown_then_is_not_found(rest, verb):
    answer = rest.predict("nope", VERBS[verb], verb)
    assert (answer.status, answer.error) == (
        404,
        "Servable not found for request: Latest(nope)",
    )


@pytest.mark.parametrize("verb", VERBS)
def test_a_version_when_unknown_then_is_not_found(rest, verb):
    answer = rest.predict("half_plus_two/versions/99", VERBS[verb], verb)
    assert (answer.status, answer.error) == (
        404,
        "Servable not found for request: Specific(half_plus_two, 99)",
    )


@pytest.mark.parametrize("verb", VERBS)
def test_a_label_when_unknown_then_is_an_invalid_argument(rest, verb):
    answer = rest.predict("half_plus_two/labels/zz", VERBS[verb], verb)
    assert answer.status == 400
    assert "Unrecognized servable version label: zz" in answer.error


@pytest.mark.parametrize("verb", VERBS)
def test_a_signature_when_unknown_then_is_an_invalid_argument(rest, verb):
    answer = rest.predict("half_plus_two", {**VERBS[verb], "signature_name": "nope"}, verb)
    assert answer.status == 400
    assert "nope" in answer.error


@pytest.mark.parametrize("signature", ["serving_default", "regress_x_to_y"])
def test_classify_when_the_signature_is_of_another_method_then_is_refused(rest, signature):
    body = {**VERBS["classify"], "signature_name": signature}
    answer = rest.predict("half_plus_two", body, "classify")
    assert answer.status == 400
    assert "tensorflow/serving/classify" in answer.error


@pytest.mark.parametrize("signature", ["serving_default", "classify_x_to_y"])
def test_regress_when_the_signature_is_of_another_method_then_is_refused(rest, signature):
    body = {**VERBS["regress"], "signature_name": signature}
    answer = rest.predict("half_plus_two", body, "regress")
    assert answer.status == 400
    assert "tensorflow/serving/regress" in answer.error


@pytest.mark.parametrize(
    ("signature", "value", "status"),
    [
        ("read", "/nonexistent/file", 404),
        ("read", "/", 400),
        ("read", "nosuchscheme://file", 501),
        ("allocate", -1, 400),
        ("allocate", 2**46, 429),
        ("take", 1.0, 400),
        ("put", 1.0, 499),
        ("unpack", "not compressed", 500),
    ],
    ids=[
        "NOT_FOUND",
        "FAILED_PRECONDITION",
        "UNIMPLEMENTED",
        "INVALID_ARGUMENT",
        "RESOURCE_EXHAUSTED",
        "OUT_OF_RANGE",
        "CANCELLED",
        "DATA_LOSS",
    ],
)
def test_a_models_own_error_when_it_has_a_code_then_is_sent_with_that_status(
    rest, signature, value, status
):
    answer = rest.predict("errors", {"signature_name": signature, "instances": [value]})
    assert answer.status == status, answer
    assert answer.error


def test_a_variable_when_it_was_not_saved_then_the_model_is_available_and_fails(rest):
    status = rest.get("/v1/models/unrestored").json["model_version_status"]
    assert [entry["state"] for entry in status] == ["AVAILABLE"]
    answer = rest.predict("unrestored", INSTANCES)
    assert answer.status == 400, answer
    assert "variable" in answer.error


def test_errors_when_they_happened_then_every_model_is_still_served(rest):
    for model in MODELS:
        assert rest.get(f"/v1/models/{model}").status == 200
    assert rest.predict("half_plus_two", INSTANCES).status == 200
