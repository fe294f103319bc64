"""Types of columns: what values are taken for, and what happens to those of another type."""

import numpy as np
import pyarrow as pa
import pytest

from components.example_gen.tables.types import Kinds, convert, kinds, kinds_of_texts


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["1", "-2", "+3", "0"], "int"),
        (["1", "", "NA", "NaN", "null"], "int"),
        (["1", "2.5"], "float"),
        (["1", "2.", ".5", "-1e-3"], "float"),
        (["1", "two"], "text"),
        (["00501", "10001"], "text"),  # postal codes
        (["007.5", "1"], "float"),
        (["123456789012345678901", "1"], "float"),
        (["1 000"], "text"),
        (["0x1f"], "text"),
        (["", "NA"], "text"),  # nothing to tell by
        ([], "text"),
        (["true", "false"], "text"),
    ],
)
def test_inferred_when_texts_say_so_then_is_the_narrowest_type(texts, expected):
    assert kinds_of_texts(pa.array(texts, pa.string())).inferred == expected


def test_kinds_when_values_have_types_then_are_counted_by_these():
    assert kinds(pa.array([1, None, 3])) == Kinds(ints=2)
    assert kinds(pa.array([1.0, float("nan"), None])) == Kinds(floats=1)
    assert kinds(pa.array(["1", None])) == Kinds(texts=1)
    assert kinds(pa.array([[1, 2], None, [3]])) == Kinds(ints=3)
    assert kinds(pa.array([True, False])) == Kinds(ints=2)


@pytest.mark.parametrize(
    ("found", "wanted", "expected"),
    [
        (Kinds(ints=10), None, "int"),
        (Kinds(ints=10), "float", "float"),
        (Kinds(ints=9, texts=1), "int", "int"),  # one bad value in ten
        (Kinds(ints=4, texts=6), "int", "text"),  # another column by now
        (Kinds(floats=10), "int", "float"),
        (Kinds(texts=10), "text", "text"),
        (Kinds(), "float", "float"),  # nothing contradicts
    ],
)
def test_resolve_when_most_values_are_not_of_the_wanted_type_then_the_column_has_changed(
    found, wanted, expected
):
    assert found.resolve(wanted) == expected


def test_convert_when_texts_become_ints_then_others_are_bad_and_missing_ones_null():
    column = convert(pa.array(["1", "x", "", "NA", "-3", "2.5"]), "int")
    assert column.values.to_pylist() == [1, None, None, None, -3, None]
    assert column.bad.tolist() == [False, True, False, False, False, True]


def test_convert_when_texts_become_floats_then_what_float32_cannot_hold_is_bad():
    column = convert(pa.array(["1.5", "1e39", "inf", "nan", "x", "2"]), "float")
    assert column.values.to_pylist() == [1.5, None, None, None, None, 2.0]
    assert column.bad.tolist() == [False, True, True, False, True, False]
    assert column.values.type == pa.float32()


def test_convert_when_floats_become_ints_then_only_whole_ones_fit():
    column = convert(pa.array([1.0, 2.5, None, float("nan"), 2.0**60]), "int")
    assert column.values.to_pylist() == [1, None, None, None, None]
    assert column.bad.tolist() == [False, True, False, False, True]


def test_convert_when_lists_are_converted_then_a_row_with_one_bad_value_is_bad():
    column = convert(pa.array([["1", "2"], None, ["3", "x"], []]), "int")
    assert column.values.to_pylist() == [[1, 2], [], [3], []]
    assert column.bad.tolist() == [False, False, True, False]


def test_convert_when_numbers_become_text_then_are_written_out():
    assert convert(pa.array([1, None]), "text").values.to_pylist() == [b"1", None]
    assert convert(pa.array(["é", ""]), "text").values.to_pylist() == ["é".encode(), None]


@pytest.mark.parametrize("count", [0, 1000])
def test_convert_when_all_fit_then_none_is_bad(count):
    texts = pa.array([str(number) for number in range(count)], pa.string())
    for wanted in ("int", "float", "text"):
        assert not np.any(convert(texts, wanted).bad)
