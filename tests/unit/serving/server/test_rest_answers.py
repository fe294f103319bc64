import json

import numpy as np
import pytest
from grpc import StatusCode

from serving.server.errors import ServingError
from serving.server.rest_answers import classify_answer, predict_answer, regress_answer

F = np.float32


def objects(*values):
    array = np.empty(len(values), object)
    array[:] = values
    return array


@pytest.mark.parametrize(
    ("outputs", "is_row", "expected"),
    [
        ({"y": F([[0.1, 2]])}, True, b'{"predictions":[[0.1,2.0]]}'),
        ({"y": F([[0.1, 2]])}, False, b'{"outputs":[[0.1,2.0]]}'),
        ({"y": F(0.1)}, False, b'{"outputs":0.1}'),
        ({"y": np.zeros((2, 0), F)}, True, b'{"predictions":[[],[]]}'),
        (
            {"a": F([0.1, 2]), "b": np.array([[1], [2]])},
            True,
            b'{"predictions":[{"a":0.1,"b":[1]},{"a":2.0,"b":[2]}]}',
        ),
        ({"a": F([1]), "b": F(2)}, False, b'{"outputs":{"a":[1.0],"b":2.0}}'),
        ({"y": np.array([True])}, True, b'{"predictions":[true]}'),
        ({"y": np.array([2**63 - 1])}, True, b'{"predictions":[9223372036854775807]}'),
        ({"y": np.float16([1.1])}, True, b'{"predictions":[1.0996094]}'),
        ({"y": objects(b"a", "\u00e9".encode())}, True, '{"predictions":["a","\u00e9"]}'.encode()),
        ({"y_bytes": objects(b"a")}, True, b'{"predictions":[{"b64":"YQ=="}]}'),
        ({"y": objects(b"\xff")}, True, b'{"predictions":[{"b64":"/w=="}]}'),
    ],
)
def test_outputs_when_answered_then_are_tf_servings_json(outputs, is_row, expected):
    assert predict_answer(outputs, is_row) == expected


def test_floats_when_not_finite_then_are_words_and_the_others_stay_short():
    found = predict_answer({"a": F([[0.1, np.nan], [np.inf, -np.inf]]), "b": F([0.3, 1])}, True)
    assert b"NaN" in found and b"-Infinity" in found and b"0.1," in found and b"0.3" in found
    np.testing.assert_equal(
        json.loads(found)["predictions"],
        [{"a": [0.1, np.nan], "b": 0.3}, {"a": [np.inf, -np.inf], "b": 1.0}],
    )


@pytest.mark.parametrize(
    "outputs",
    [{"y": F(1)}, {"a": F([1]), "b": F([1, 2])}, {"y": np.array([1j])}],
    ids=["scalar", "other batch", "complex"],
)
def test_rows_when_outputs_have_none_then_are_refused(outputs):
    with pytest.raises(ServingError) as caught:
        predict_answer(outputs, True)
    assert caught.value.code is StatusCode.INVALID_ARGUMENT


def test_classes_when_answered_then_are_pairs():
    labels = objects(b"up", b"down").reshape(1, 2)
    assert classify_answer(labels, F([[0.1, 0.9]])) == b'{"results":[[["up",0.1],["down",0.9]]]}'
    assert classify_answer(None, F([[0.5]])) == b'{"results":[[["",0.5]]]}'
    assert classify_answer(labels, None) == b'{"results":[[["up",0.0],["down",0.0]]]}'
    assert b"NaN" in classify_answer(None, F([[np.nan]]))


def test_regressions_when_answered_then_are_numbers():
    assert regress_answer(F([0.1, 2])) == b'{"results":[0.1,2.0]}'
    assert regress_answer(F([np.inf])) == b'{"results": [Infinity]}'
