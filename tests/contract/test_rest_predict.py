"""REST: predict, in row and in column format."""

import base64
import json
import math

import pytest

BYTES = bytes(range(256))
ENCODED = {"b64": base64.b64encode(BYTES).decode()}
ROW = {
    "count": 2**53 + 1,
    "index": 7,
    "weights": [0.5, 1.5],
    "ratio": 0.1,
    "flag": True,
    "text": 'é\n"',
    "image_bytes": ENCODED,
}
ANSWER = {
    "count": 2**53 + 2,
    "index": 8,
    "weights": [1.0, 3.0],
    "ratio": 0.05,
    "flag": False,
    "text": 'é\n"!',
    "image_bytes": ENCODED,
    "length": 256,
}


def without(key):
    return {name: value for name, value in ROW.items() if name != key}


def columns(*rows):
    return {name: [row[name] for row in rows] for name in rows[0]}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"instances": [1.0, 2.0, 5.0]}, {"predictions": [3.5, 4.0, 5.5]}),
        ({"instances": [{"x": 1.0}, {"x": 2.0}]}, {"predictions": [3.5, 4.0]}),
        ({"inputs": [1.0, 2.0]}, {"outputs": [3.5, 4.0]}),
        ({"inputs": {"x": [1.0, 2.0]}}, {"outputs": [3.5, 4.0]}),
        ({"instances": [1, 2]}, {"predictions": [3.5, 4.0]}),
    ],
    ids=["row", "row of objects", "column", "column of an object", "whole numbers"],
)
def test_one_output_when_answered_then_its_name_is_dropped(rest, body, expected):
    answer = rest.predict("half_plus_two", body)
    assert (answer.status, answer.json) == (200, expected)


def test_several_outputs_when_in_row_format_then_are_a_list_of_objects(rest):
    other = {**ROW, "count": -1, "text": ""}
    answer = rest.predict("every_type", {"instances": [ROW, other]})
    assert answer.status == 200, answer
    assert answer.json == {"predictions": [ANSWER, {**ANSWER, "count": 0, "text": "!"}]}


def test_several_outputs_when_in_column_format_then_are_an_object_of_lists(rest):
    answer = rest.predict("every_type", {"inputs": columns(ROW, ROW)})
    assert answer.status == 200, answer
    assert answer.json == {"outputs": columns(ANSWER, ANSWER)}


def test_int64_when_beyond_doubles_then_comes_back_exactly(rest):
    row = {**ROW, "count": 2**63 - 2}
    found = rest.predict("every_type", {"instances": [row]}).json["predictions"][0]["count"]
    assert found == 2**63 - 1


def test_a_float_when_answered_then_has_no_digits_of_doubles(rest):
    answer = rest.predict("half_plus_two", {"instances": [0.2]})
    assert answer.json == {"predictions": [3.1]}, answer  # 3.0999999046325684 as a double


def test_bytes_when_in_b64_then_are_decoded_and_come_back_in_b64(rest):
    body = {"signature_name": "echo", "instances": [ENCODED, {"b64": ""}]}
    assert rest.predict("every_type", body).json == {"predictions": [ENCODED, {"b64": ""}]}
    body = {"signature_name": "echo", "inputs": {"image_bytes": [ENCODED]}}
    assert rest.predict("every_type", body).json == {"outputs": [ENCODED]}


def test_text_when_named_as_bytes_then_is_taken_as_it_is(rest):
    body = {"signature_name": "echo", "instances": ["abc", {"image_bytes": "abc"}][:1]}
    expected = {"b64": base64.b64encode(b"abc").decode()}
    assert rest.predict("every_type", body).json == {"predictions": [expected]}


@pytest.mark.parametrize("key", ["instances", "inputs"])
def test_nan_and_infinity_when_sent_as_tokens_then_are_numbers(rest, key):
    answer = rest.predict("half_plus_two", f'{{"{key}": [NaN, Infinity, -Infinity, 1.0]}}')
    assert answer.status == 200, answer
    found = answer.json["predictions" if key == "instances" else "outputs"]
    assert math.isnan(found[0])
    assert found[1:] == [math.inf, -math.inf, 3.5]
    assert b"NaN" in answer.body and b"-Infinity" in answer.body


def test_no_signature_when_named_then_is_serving_default(rest):
    named = {"signature_name": "serving_default", "instances": [1.0]}
    assert rest.predict("half_plus_two", named).json == {"predictions": [3.5]}
    assert rest.predict("half_plus_two", {**named, "signature_name": ""}).status == 200


def test_an_output_when_without_a_batch_then_only_columns_can_be_answered(rest):
    body = {"signature_name": "total", "inputs": [1.0, 2.0]}
    assert rest.predict("every_type", body).json == {"outputs": 3.0}
    body = {"signature_name": "total", "instances": [1.0, 2.0]}
    assert rest.predict("every_type", body).status == 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"instances = [1, 2]",
        b'{"instances": [1.0]',
        b'{"instances": [1.0]} trailing',
        b"[1.0]",
        b'"instances"',
        b"null",
        b"\xff\xfe",
        {},
        {"signature_name": "serving_default"},
        {"instances": [1.0], "inputs": [1.0]},
        {"instances": []},
        {"instances": 1.0},
        {"instances": {"x": [1.0]}},
        {"instances": None},
        {"inputs": None},
        {"instances": ["text"]},
        {"instances": [True]},
        {"instances": [None]},
        {"instances": [[1.0], 2.0]},
        {"instances": [{"x": 1.0}, 2.0]},
        {"instances": [1.0, {"x": 2.0}]},
        {"instances": [{"x": 1.0}, {"x": [2.0]}]},
        {"inputs": [[1.0], [1.0, 2.0]]},
        {"instances": [{"y": 1.0}]},
        {"instances": [{"x": 1.0, "y": 1.0}]},
        {"instances": [{}]},
        {"inputs": {"y": [1.0]}},
        {"instances": [1e39]},
        {"instances": [{"b64": "AAAA"}]},
        {"signature_name": 1, "instances": [1.0]},
        {"signature_name": None, "instances": [1.0]},
        {"signature_name": ["serving_default"], "instances": [1.0]},
        {"signature_name": "nope", "instances": [1.0]},
    ],
    ids=lambda body: repr(body)[:60],
)
def test_a_body_when_it_does_not_fit_then_is_an_invalid_argument(rest, body):
    answer = rest.predict("half_plus_two", body)
    assert answer.status == 400, answer
    assert answer.error


@pytest.mark.parametrize(
    "row",
    [
        *[without(key) for key in ROW],
        {**ROW, "more": 1},
        {**ROW, "count": 1.5},
        {**ROW, "count": 2**63},
        {**ROW, "index": 2**31},
        {**ROW, "flag": 1},
        {**ROW, "text": 1},
        {**ROW, "weights": [1.0]},
        {**ROW, "weights": 1.0},
        {**ROW, "weights": [[1.0, 2.0]]},
        {**ROW, "weights": []},
        {**ROW, "image_bytes": {"b64": "not base64!"}},
        {**ROW, "image_bytes": {"b64": "AAAA", "more": 1}},
        {**ROW, "image_bytes": {"b64": 1}},
    ],
    ids=lambda row: (
        "without " + "".join(set(ROW) - set(row))
        if set(row) < set(ROW)
        else json.dumps({k: v for k, v in row.items() if ROW.get(k) != v})
    ),
)
def test_a_row_when_its_keys_or_values_do_not_fit_then_is_an_invalid_argument(rest, row):
    assert rest.predict("every_type", {"instances": [row]}).status == 400
    assert rest.predict("every_type", {"instances": [ROW, row]}).status == 400
    if set(row) <= set(ROW):  # more than is wanted is let be in column format
        assert rest.predict("every_type", {"inputs": columns(row)}).status == 400
    assert rest.predict("every_type", {"instances": [ROW]}).status == 200


def test_a_list_when_several_inputs_are_wanted_then_is_an_invalid_argument(rest):
    assert rest.predict("every_type", {"instances": [1.0]}).status == 400
    assert rest.predict("every_type", {"inputs": [1.0]}).status == 400


def test_columns_when_of_different_sizes_then_the_answer_has_them_or_is_an_error(rest):
    body = {"inputs": {**columns(ROW, ROW), "count": [1]}}
    answer = rest.predict("every_type", body)
    assert answer.status in (200, 400), answer  # every column by itself is a good tensor
    assert rest.predict("every_type", {"instances": [ROW]}).status == 200
