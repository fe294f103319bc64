"""Rows become arrays of the signature's types, or the row that does not fit is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.config_file import ConfigError
from pipeline.predict.arrays import to_arrays
from pipeline.predict.rows import Cell
from serving.client.metadata import Signature


@pytest.mark.parametrize(
    ("cell", "dtype", "shape", "expected"),
    [
        pytest.param("1", "float32", [None], 1.0, id="number"),
        pytest.param("NaN", "float32", [None], np.nan, id="NaN"),
        pytest.param("true", "bool", [None], True, id="truth"),
        pytest.param("9223372036854775807", "int64", [None], 2**63 - 1, id="int64"),
        pytest.param("[1, 2]", "float32", [None, 2], [1, 2], id="vector"),
        pytest.param("123", "object", [None], b"123", id="digits as text"),
        pytest.param("", "object", [None], b"", id="empty text"),
        pytest.param("[1]", "object", [None], b"[1]", id="brackets as text"),
        pytest.param('["a", "b"]', "object", [None, 2], [b"a", b"b"], id="texts"),
        pytest.param('{"b64": "AA=="}', "object", [None], b"\0", id="bytes"),
        pytest.param('{"b64": 1', "object", [None], b'{"b64": 1', id="text like bytes"),
        pytest.param('[{"b64": "AA=="}]', "object", [None, 1], [b"\0"], id="list of bytes"),
    ],
)
def test_cell_when_its_input_is_known_then_means_what_that_takes(
    cell, dtype, shape, expected, spec, rows_of
) -> None:
    arrays = to_arrays(rows_of({"x": Cell(cell), "more": 1}), spec(x=(dtype, shape)))
    assert arrays["x"].dtype == dtype
    np.testing.assert_array_equal(arrays["x"], np.array([expected], dtype))


@pytest.mark.parametrize(
    ("value", "dtype", "shape", "error"),
    [
        pytest.param(Cell(""), "float32", [None], "'' ; allowed: float32 of shape []", id="empty"),
        pytest.param(Cell("x"), "float32", [None], "'x'; allowed: float32", id="text"),
        pytest.param(None, "float32", [None], "None; allowed: float32", id="null"),
        pytest.param(1.5, "int64", [None], "1.5; allowed: int64", id="fraction"),
        pytest.param([1], "float32", [None, 2], "shape [1]; allowed: float32 of shape [2]", id="2"),
        pytest.param(1, "float32", [None, 2], "shape []; allowed: float32 of shape [2]", id="rank"),
        pytest.param(7, "object", [None], "7; allowed: string of shape []", id="number for text"),
        pytest.param([1] * 40, "object", [None], f"{str([1] * 40)[:57]}...; allowed", id="long"),
        pytest.param([[1], [1, 2]], "float32", [None, 2, None], "[[1], [1, 2]]; all", id="ragged"),
    ],
)
def test_value_when_it_does_not_fit_then_names_row_and_field(
    value, dtype, shape, error, spec, rows_of
) -> None:
    good = np.zeros([2 if size is None else size for size in shape[1:]], dtype).tolist()
    good = {"object": "text"}.get(dtype, good)
    with pytest.raises(ConfigError) as caught:
        to_arrays(rows_of({"x": good}, {"x": value}, {"x": value}), spec(x=(dtype, shape)))
    assert str(caught.value).startswith(f"rows.csv: row 2: x: found {error.replace(' ;', ';')}")


def test_values_when_rows_differ_in_size_then_names_the_first_that_does(spec, rows_of) -> None:
    rows = rows_of({"x": [1, 2]}, {"x": [1, 2]}, {"x": [1]})
    with pytest.raises(ConfigError) as caught:
        to_arrays(rows, spec(x=("float32", [None, None])))
    assert str(caught.value) == (
        "rows.csv: row 3: x: found shape [1]; "
        "allowed: [2], as the rows before it in the batch; or --batch 1"
    )


def test_row_when_it_lacks_inputs_then_named(spec, rows_of) -> None:
    rows = rows_of({"a": 1, "b": 1, "c": 1}, {"b": 2})
    with pytest.raises(ConfigError) as caught:
        to_arrays(rows, spec(a=("int64", [None]), b=("int64", [None]), c=("int64", [None])))
    assert str(caught.value) == (
        "rows.csv: row 2: fields: found no a, c; allowed: rows with a, b, c"
    )


@pytest.fixture
def nullable(spec):
    """Makes signatures of which rows may lack every input."""

    def make(**inputs):
        specs = {name: replace(one, nullable=True) for name, one in spec(**inputs).inputs.items()}
        return Signature(specs, {}, "tensorflow/serving/predict")

    return make


@pytest.mark.parametrize(
    ("value", "dtype", "shape", "expected"),
    [
        pytest.param(Cell(""), "float32", [None], np.nan, id="empty cell"),
        pytest.param(Cell("2"), "float64", [None], 2.0, id="cell"),
        pytest.param(Cell(""), "object", [None], b"", id="empty text"),
        pytest.param(Cell("12"), "object", [None], b"12", id="digits as text"),
        pytest.param(Cell(""), "float32", [None, None], [np.nan], id="no values"),
        pytest.param(Cell("[1, 2]"), "float32", [None, None], [1, 2], id="values"),
        pytest.param(Cell("3"), "float32", [None, None], [3], id="one value"),
        pytest.param(Cell(""), "object", [None, None], [b""], id="no texts"),
        pytest.param(Cell("12"), "object", [None, None], [b"12"], id="one text"),
        pytest.param(Cell('["a", "b"]'), "object", [None, None], [b"a", b"b"], id="texts"),
        pytest.param(Cell('{"b64": "AA=="}'), "object", [None, None], [b"\0"], id="bytes"),
        pytest.param(None, "float32", [None], np.nan, id="null"),
        pytest.param(None, "object", [None, None], [b""], id="null for texts"),
        pytest.param([], "float32", [None], np.nan, id="empty list"),
    ],
)
def test_value_when_rows_may_lack_it_then_means_what_that_takes(
    value, dtype, shape, expected, nullable, rows_of
) -> None:
    arrays = to_arrays(rows_of({"x": value}), nullable(x=(dtype, shape)))
    assert arrays["x"].dtype == dtype
    np.testing.assert_array_equal(arrays["x"], np.array([expected], dtype))


def test_values_when_rows_may_differ_in_number_then_are_filled_up(nullable, rows_of) -> None:
    rows = rows_of({"x": [1, 2], "y": "a"}, {"x": [3], "y": "b"}, {"y": "c"})
    arrays = to_arrays(rows, nullable(x=("float32", [None, None]), y=("object", [None])))
    np.testing.assert_array_equal(arrays["x"], [[1, 2], [3, np.nan], [np.nan, np.nan]])


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ({"z": 1}, "row 2: fields: found no x, y; allowed: rows with x, y"),
        ({"x": Cell("a")}, "row 2: x: found 'a'; allowed: float64 of shape [], or nothing"),
        ({"x": [1, 2]}, "row 2: x: found shape [2]; allowed: float64 of shape [], or nothing"),
        ({"x": 2**53}, f"row 2: x: found {2**53}; allowed: float64 of shape [], or nothing"),
        ({"y": ["a", 1]}, "row 2: y: found ['a', 1]; allowed: string of shape [?], or nothing"),
    ],
)
def test_row_when_it_has_nothing_that_fits_then_is_named(row, error, nullable, rows_of) -> None:
    signature = nullable(x=("float64", [None]), y=("object", [None, None]))
    with pytest.raises(ConfigError) as caught:
        to_arrays(rows_of({"x": 1, "y": ["a", "b", "c"]}, row), signature)
    assert str(caught.value) == f"rows.csv: {error}"
