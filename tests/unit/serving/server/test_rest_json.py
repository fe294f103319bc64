import math

import numpy as np
import pytest
from grpc import StatusCode
from tensorflow.core.framework import types_pb2 as t

from serving.server.errors import ServingError
from serving.server.rest_json import parse_predict, to_arrays

F = {"x": t.DT_FLOAT}


def arrays(body, dtypes):
    return to_arrays(parse_predict(body), dtypes)


def refusal(body, dtypes=F):
    with pytest.raises(ServingError) as caught:
        arrays(body, dtypes)
    assert caught.value.code is StatusCode.INVALID_ARGUMENT
    return caught.value.message


@pytest.mark.parametrize(
    ("body", "data_type", "expected"),
    [
        (b'{"instances": [1, 2.5]}', t.DT_FLOAT, [1, 2.5]),
        (b'{"instances": [{"x": 1}, {"x": 2}]}', t.DT_FLOAT, [1, 2]),
        (b'{"inputs": {"x": [[1], [2]]}}', t.DT_FLOAT, [[1], [2]]),
        (b'{"inputs": [[1], [2]]}', t.DT_FLOAT, [[1], [2]]),
        (b'{"inputs": 5}', t.DT_FLOAT, 5),
        (b'{"inputs": [], "z": 1}', t.DT_FLOAT, []),
        (b'{"inputs": {"x": [1], "more": 2}}', t.DT_FLOAT, [1]),
        (b'{"instances": [16777215, 16777217.0]}', t.DT_FLOAT, [16777215, 16777216]),
        (b'{"instances": [9007199254740991]}', t.DT_DOUBLE, [9007199254740991]),
        (b'{"instances": [9223372036854775807, -1]}', t.DT_INT64, [2**63 - 1, -1]),
        (b'{"instances": [18446744073709551615, 1]}', t.DT_UINT64, [2**64 - 1, 1]),
        (b'{"instances": [-128]}', t.DT_INT8, [-128]),
        (b'{"instances": [[], []]}', t.DT_INT32, [[], []]),
        (b'{"instances": [true, false]}', t.DT_BOOL, [True, False]),
        (b'{"instances": [1.5, 3]}', t.DT_HALF, [1.5, 3]),
        (b'{"instances": [1.5, 3]}', t.DT_BFLOAT16, [1.5, 3]),
        (b'{"instances": ["a", {"b64": "/w"}]}', t.DT_STRING, [b"a", b"\xff"]),
        (b'{"instances": [{"b64": "YWI="}]}', t.DT_STRING, [b"ab"]),
        (b'{"inputs": {"b64": "YWI="}}', t.DT_STRING, b"ab"),
        ('{"instances": ["\u00e9"]}'.encode(), t.DT_STRING, ["\u00e9".encode()]),
        (b'{"instances": [1], "instances": [2]}', t.DT_FLOAT, [2]),
    ],
)
def test_a_body_when_it_fits_the_signature_then_is_a_tensor(body, data_type, expected):
    assert arrays(body, {"x": data_type})["x"].tolist() == expected


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "Inf", "-Inf"])
def test_words_when_in_place_of_floats_then_are_those_values(token):
    body = f'{{"instances": [1, {token}], "note": "Inf \\" Inf"}}'.encode()
    expected = float(token.replace("Infinity", "inf").replace("Inf", "inf").lower())
    found = arrays(body, F)["x"]
    assert found.dtype == np.float32
    np.testing.assert_equal(found.tolist(), [1, expected])


def test_several_inputs_when_in_rows_then_become_columns():
    body = b'{"instances": [{"a": 1, "b": [2]}, {"b": [4], "a": 3}]}'
    found = arrays(body, {"a": t.DT_FLOAT, "b": t.DT_INT32})
    assert found["a"].tolist() == [1, 3]
    assert found["b"].tolist() == [[2], [4]]


@pytest.mark.parametrize(
    ("body", "data_type"),
    [
        (b'{"instances": [1.5]}', t.DT_INT32),
        (b'{"instances": [1.0]}', t.DT_INT64),
        (b'{"instances": [256]}', t.DT_UINT8),
        (b'{"instances": [-1]}', t.DT_UINT64),
        (b'{"instances": [2147483648]}', t.DT_INT32),
        (b'{"instances": [9223372036854775808]}', t.DT_INT64),
        (b'{"instances": [16777217]}', t.DT_FLOAT),
        (b'{"instances": [0.5, 16777217]}', t.DT_FLOAT),
        (b'{"instances": [1e39]}', t.DT_FLOAT),
        (b'{"instances": [-1e39, 1]}', t.DT_FLOAT),
        (b'{"instances": [70000.0]}', t.DT_HALF),
        (b'{"instances": [true]}', t.DT_FLOAT),
        (b'{"instances": [1, true]}', t.DT_INT32),
        (b'{"instances": [1]}', t.DT_BOOL),
        (b'{"instances": ["1"]}', t.DT_FLOAT),
        (b'{"instances": ["1", 1]}', t.DT_FLOAT),
        (b'{"instances": [null]}', t.DT_FLOAT),
        (b'{"instances": [null, 1.5]}', t.DT_DOUBLE),
        (b'{"instances": [1]}', t.DT_STRING),
        (b'{"instances": [null]}', t.DT_STRING),
        (b'{"instances": [{"b64": "!"}]}', t.DT_STRING),
        (b'{"instances": ["a", {"c": "b"}]}', t.DT_STRING),
        (b'{"instances": [{"x": {"b64": 1}}]}', t.DT_STRING),
        (b'{"instances": [{"x": {"b64": "YQ=="}}]}', t.DT_FLOAT),
    ],
)
def test_a_value_when_the_type_cannot_hold_it_then_is_refused(body, data_type):
    refusal(body, {"x": data_type})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "The document is empty"),
        (b"{", "JSON Parse error"),
        (b"\xff", "JSON Parse error"),
        (b'{"instances": [1]} x', "JSON Parse error"),
        (b"[1]", "Is not object"),
        (b"{}", "Missing 'inputs' or 'instances' key"),
        (b'{"instances": [1], "inputs": [1]}', "only one of 'inputs' or 'instances'"),
        (b'{"instances": {}}', "to be an list/array"),
        (b'{"instances": []}', "No values in 'instances' array"),
        (b'{"signature_name": 1, "instances": [1]}', "'signature_name' key must be a string"),
        (b'{"instances": [[1], [1, 2]]}', "unexpected size: 2 at level: 1 expected size: 1"),
        (b'{"instances": [[1], 1]}', "found at incorrect level"),
        (b'{"instances": [1, [1]]}', "Encountered list at unexpected level: 1"),
        (b'{"instances": [{"x": 1}, 1]}', "Expecting object but got list at item 1"),
        (b'{"instances": [1, {"x": 1}]}', "Expecting value/list but got object at item 1"),
        (b'{"instances": [{"x": 1}, {"x": 1, "y": 2}]}', "keys must be equal to: x"),
        (b'{"instances": [{}]}', "keys must be equal to: x"),
        (b'{"inputs": {"y": 1}}', "Missing named input: x in 'inputs' object."),
        (b'{"instances": [1e999, NaN]}', "too big"),
        (b'{"instances": [NaN, "\\ud800"]}', "is not of expected type"),
    ],
)
def test_a_body_when_of_another_form_then_the_error_says_what_was_expected(body, words):
    assert words in refusal(body)


def test_a_plain_list_when_there_are_several_inputs_then_is_refused():
    several = {"x": t.DT_FLOAT, "y": t.DT_FLOAT}
    assert "expecting list of objects" in refusal(b'{"instances": [1]}', several)
    assert "expecting an object" in refusal(b'{"inputs": [1]}', several)


@pytest.mark.parametrize("opening", [b'{"instances": ', b'{"nan": NaN, "instances": '])
@pytest.mark.parametrize("closing", [b"", b"]" * 100_000 + b"}"], ids=["open", "closed"])
def test_lists_when_nested_without_end_then_are_refused(opening, closing):
    assert "JSON Parse error" in refusal(opening + b"[" * 100_000 + closing)


def test_lists_when_deeper_than_any_tensor_then_are_refused():
    assert "unexpected level" in refusal(b'{"inputs": ' + b"[" * 900 + b"1" + b"]" * 900 + b"}")


def test_a_lone_surrogate_when_the_other_parser_lets_it_through_then_is_refused():
    refusal(b'{"instances": ["\\ud800"], "z": NaN}', {"x": t.DT_STRING})


def test_an_error_when_the_value_is_large_then_shows_only_its_start():
    body = b'{"instances": [' + b'"' + b"a" * 100_000 + b'"]}'
    assert len(refusal(body)) < 1000


def test_complex_numbers_when_asked_for_then_are_unimplemented():
    with pytest.raises(ServingError) as caught:
        arrays(b'{"instances": [1]}', {"x": t.DT_COMPLEX64})
    assert caught.value.code is StatusCode.UNIMPLEMENTED


def test_the_fast_way_when_it_may_differ_then_gives_what_the_careful_one_gives():
    numbers = [0, 1, -1.5, 255.0, 2**24 - 1, 0.1, 3e38, math.pi]
    for value in numbers:
        fast = arrays(f'{{"instances": [{value!r}]}}'.encode(), F)["x"]
        careful = arrays(f'{{"instances": [{value!r}, NaN]}}'.encode(), F)["x"]
        assert fast[0] == careful[0] == np.float32(value)
