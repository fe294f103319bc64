"""REST: classify and regress, which take examples."""

import pytest

CLASSIFY = "half_plus_two/versions/1"


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        ("classify_x_to_y", [[["", 3.0]], [["", 12.0]]]),
        (
            "classify_with_labels",
            [[["plus", 3.0], ["minus", -3.0]], [["plus", 12.0], ["minus", -12.0]]],
        ),
        ("classify_labels_only", [[["plus", 0.0], ["minus", 0.0]]] * 2),
    ],
    ids=["scores", "classes and scores", "classes"],
)
def test_classify_when_answered_then_has_a_label_and_a_score_for_each_class(
    rest, signature, expected
):
    body = {"signature_name": signature, "examples": [{"x": 2.0}, {"x": 20.0}]}
    answer = rest.predict(CLASSIFY, body, "classify")
    assert (answer.status, answer.json) == (200, {"results": expected})


def test_regress_when_answered_then_has_a_number_for_each_example(rest):
    body = {"signature_name": "regress_x_to_y", "examples": [{"x": 2.0}, {"x": 80.0}]}
    answer = rest.predict("half_plus_two/versions/1", body, "regress")
    assert (answer.status, answer.json) == (200, {"results": [3.0, 42.0]})


def test_regress_when_the_model_answers_a_column_then_it_is_flattened(rest):
    body = {"signature_name": "regress_x2_to_y", "examples": [{"x": 2.0, "x2": 4.0}, {"x": 1.0}]}
    answer = rest.predict("half_plus_two/versions/1", body, "regress")
    assert answer.json == {"results": [4.0, 2.0]}


def test_context_when_given_then_belongs_to_every_example(rest):
    body = {
        "signature_name": "regress_x2_to_y",
        "context": {"x2": 4.0},
        "examples": [{"x": 2.0}, {"x": 4.0}],
    }
    answer = rest.predict("half_plus_two/versions/1", body, "regress")
    assert answer.json == {"results": [4.0, 4.0]}


def test_context_when_a_feature_is_in_both_then_the_examples_wins(rest):
    body = {
        "signature_name": "regress_x2_to_y",
        "context": {"x2": 4.0},
        "examples": [{"x": 2.0, "x2": 8.0}],
    }
    answer = rest.predict("half_plus_two/versions/1", body, "regress")
    assert answer.json == {"results": [6.0]}


@pytest.mark.parametrize("value", [[2.0], 2.0], ids=["list", "value"])
def test_a_feature_when_a_list_or_a_value_then_is_the_same(rest, value):
    body = {"signature_name": "regress_x_to_y", "examples": [{"x": value}]}
    answer = rest.predict("half_plus_two/versions/1", body, "regress")
    assert answer.json == {"results": [3.0]}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"examples": []},
        {"examples": {"x": 2.0}},
        {"examples": [2.0]},
        {"examples": [[2.0]]},
        {"examples": [None]},
        {"examples": [{"x": None}]},
        {"examples": [{"x": [[2.0]]}]},
        {"examples": [{"x": {"c64": "AAAA"}}]},
        {"examples": [{"x": {"b64": "no base64!"}}]},
        {"examples": [{"x": [2.0, "two"]}]},
        {"examples": [{"x": [2.0, 2]}]},
        {"examples": [{"x": 2**63}]},
        {"examples": [{"x": "two"}]},
        {"examples": [{"x": 2}]},
        {"examples": [{"x": [2.0, 2.0]}]},
        {"examples": [{}]},
        {"examples": [{"x": 2.0}], "context": [1.0]},
        {"examples": [{"x": 2.0}], "context": {"x2": None}},
        {"examples": [{"x": 2.0}], "signature_name": 1},
        {"instances": [{"x": 2.0}]},
    ],
    ids=lambda body: repr(body)[:60],
)
@pytest.mark.parametrize("verb", ["classify", "regress"])
def test_examples_when_they_do_not_fit_then_are_an_invalid_argument(rest, verb, body):
    body = {"signature_name": f"{verb}_x_to_y", **body}
    answer = rest.predict("half_plus_two", body, verb)
    assert answer.status == 400, answer
    assert answer.error
