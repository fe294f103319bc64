"""REST: which paths there are, and what the others are answered."""

import pytest

from tests.contract.models import LABELS

INSTANCES = {"instances": [1.0, 2.0]}


@pytest.mark.parametrize("verb", ["predict", "classify", "regress"])
def test_a_verb_when_posted_to_a_model_then_is_answered(rest, verb):
    body = {
        "predict": INSTANCES,
        "classify": {"signature_name": "classify_x_to_y", "examples": [{"x": 2.0}]},
        "regress": {"signature_name": "regress_x_to_y", "examples": [{"x": 2.0}]},
    }[verb]
    answer = rest.predict("half_plus_two", body, verb)
    assert answer.status == 200, answer
    assert answer.headers["content-type"].split(";")[0] == "application/json"


@pytest.mark.parametrize("verb", ["predict", "classify", "regress"])
@pytest.mark.parametrize("version", [1, 2])
def test_a_version_when_named_then_answers_itself(rest, verb, version):
    body = {
        "predict": {"instances": [2.0]},
        "classify": {"signature_name": "classify_x_to_y", "examples": [{"x": 2.0}]},
        "regress": {"signature_name": "regress_x_to_y", "examples": [{"x": 2.0}]},
    }[verb]
    found = rest.predict(f"half_plus_two/versions/{version}", body, verb).json
    value = 2.0 + version
    expected = {"classify": [[["", value]]]}.get(verb, [value])
    assert found == {"predictions" if verb == "predict" else "results": expected}


@pytest.mark.parametrize(("label", "version"), LABELS.items())
def test_a_label_when_named_then_answers_its_version(rest, label, version):
    answer = rest.predict(f"half_plus_two/labels/{label}", {"instances": [0.0]})
    assert answer.json == {"predictions": [1.0 + version]}


def test_no_version_when_named_then_the_newest_answers(rest):
    assert rest.predict("half_plus_two", {"instances": [0.0]}).json == {"predictions": [3.0]}


@pytest.mark.parametrize("path", ["/V1/Models/half_plus_two:predict", "/v1/MODELS/half_plus_two"])
def test_a_path_when_in_other_case_then_is_the_same(rest, path):
    method = "POST" if path.endswith("predict") else "GET"
    assert rest.request(method, path, INSTANCES if method == "POST" else None).status == 200


@pytest.mark.parametrize("verb", ["PREDICT", "Predict"])
def test_a_verb_when_in_other_case_then_is_the_same(rest, verb):
    answer = rest.predict("half_plus_two", INSTANCES, verb)
    assert (answer.status, answer.json) == (200, {"predictions": [3.5, 4.0]})


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/half%5Fplus%5Ftwo:predict",
        "/v1/models/%68alf_plus_two/versions/2:predict",
        "/v1/models/half_plus_two/labels/%63anary:predict",
    ],
)
def test_a_name_when_url_encoded_then_is_decoded(rest, path):
    assert rest.post(path, INSTANCES).json == {"predictions": [3.5, 4.0]}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/foo"),
        ("POST", "/v1/foo"),
        ("GET", "/v1/"),
        ("POST", "/v1/models"),
        ("GET", "/v1/models/half_plus_two:predict"),
        ("POST", "/v1/models/half_plus_two"),
        ("POST", "/v1/models/half_plus_two:explain"),
        ("POST", "/v1/models/half_plus_two/version/1:predict"),
        ("POST", "/v1/models/half_plus_two/versions/one:predict"),
        ("POST", "/v1/models/half_plus_two/versions/-1:predict"),
        ("POST", "/v1/models/half_plus_two/versions/1/labels/stable:predict"),
        ("POST", "/v1/models/:predict"),
        ("GET", "/v1/models/half_plus_two/metadata/more"),
        ("GET", "/v1/models/half_plus_two/versions/one"),
        ("PUT", "/v1/models/half_plus_two:predict"),
        ("DELETE", "/v1/models/half_plus_two"),
    ],
    ids=lambda value: value.replace("/", "_"),
)
def test_another_path_when_under_v1_then_is_malformed(rest, method, path):
    answer = rest.request(method, path, INSTANCES if method == "POST" else None)
    assert answer.status == 400, answer
    assert answer.error == f"Malformed request: {method} {path}"


def test_a_version_when_over_int64_then_is_an_error(rest):
    answer = rest.predict(f"half_plus_two/versions/{2**64 - 1}", INSTANCES)
    assert answer.status == 400
    assert "Failed to convert version" in answer.error


def test_the_list_of_models_when_asked_for_then_a_name_is_missing(rest):
    answer = rest.get("/v1/models")
    assert (answer.status, answer.error) == (400, "Missing model name in request.")


@pytest.mark.parametrize("path", ["/", "/v2/models/half_plus_two", "/index", "/v1", "/v10/models"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_path_when_outside_v1_then_is_not_found(rest, method, path):
    assert rest.request(method, path, INSTANCES if method == "POST" else None).status == 404
