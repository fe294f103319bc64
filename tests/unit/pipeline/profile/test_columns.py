"""What a column looks like, what is suspected of it, and how it is best read."""

import numpy as np
import pyarrow as pa
import pytest

from pipeline.profile.columns import Suspicion, profile_column
from pipeline.profile.features import suggest

RANDOM = np.random.default_rng(0)


def column(values, kind=None):
    texts = pa.types.is_binary(kind) if kind else isinstance(values[0], str)
    if texts:
        values = [None if value is None else value.encode() for value in values]
    return profile_column("c", pa.chunked_array([pa.array(values, kind)]))


def feature(values, kind=None):
    return suggest(column(values, kind), len(values))


INTS = [int(number) for number in RANDOM.integers(0, 20, 1000)]
FLOATS = [float(number) for number in RANDOM.normal(size=1000)]
PROSE = [f"this is the text of number {number}" for number in range(1000)]


@pytest.mark.parametrize(
    ("values", "suspicion"),
    [
        ([1] * 100, Suspicion.CONSTANT),
        (["a"] * 100, Suspicion.CONSTANT),
        ([None] * 999 + [7], Suspicion.CONSTANT),
        ([1] * 50 + [None] * 50, None),  # whether there is one may tell something
        (list(range(1000)), Suspicion.IDENTIFIER),
        ([f"user-{number}" for number in range(1000)], Suspicion.IDENTIFIER),
        (PROSE, None),
        (FLOATS, None),
        (INTS, None),
        ([1_400_000_000 + 60 * number for number in range(1000)], None),  # times
        (list(range(20)), None),  # too few to tell
    ],
)
def test_suspicion_when_a_column_is_of_no_use_then_says_why(values, suspicion):
    kind = pa.int64() if values[0] is None else None
    assert column(values, kind).suspicion is suspicion


def test_profile_when_a_column_has_no_values_then_is_empty():
    assert column([None] * 9, pa.float32()).suspicion is Suspicion.EMPTY


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (INTS, {"kind": "categorical", "top_k": 32}),
        ([0, 1] * 500, {"kind": "numeric", "indicator": False}),
        (FLOATS, {"kind": "numeric", "indicator": False}),
        ([*FLOATS, None], {"kind": "numeric"}),
        ([number**2 for number in range(1000)], {"kind": "numeric", "indicator": False}),
        (["a", "b"] * 500, {"kind": "categorical", "top_k": 8}),
        (PROSE, {"kind": "text", "max_tokens": 16}),
        ([f"k{number % 400}" for number in range(1000)], {"kind": "categorical", "top_k": 512}),
        (
            [f"k{number % 4000}" for number in range(8000)],
            {"kind": "categorical", "top_k": 4096, "min_count": 2},
        ),
        ([1_400_000_000 + 60 * number for number in range(1000)], {"kind": "date"}),
        (
            [1_400_000_000_000 + number for number in range(1000)],
            {"kind": "date", "unit": "milliseconds"},
        ),
        ([f"2026-01-{number % 28 + 1:02}" for number in range(1000)], {"kind": "date"}),
        (
            [17_031_000_000 + number % 200 for number in range(1000)],
            {"kind": "categorical", "top_k": 256},
        ),
        ([-3, 5, 9] * 400, {"kind": "numeric", "indicator": False}),
    ],
)
def test_suggest_when_a_column_looks_like_something_then_it_is_read_as_that(values, expected):
    assert feature(values) == expected


def test_suggest_when_a_few_numbers_are_far_larger_then_their_logarithm_is_taken():
    assert feature([1.0] * 980 + [1000.0] * 20)["scale"] == "log"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([[b"a", b"b"], [b"a"]] * 100, {"kind": "categorical", "top_k": 8, "max_values": 2}),
        ([[0.5, 1.5, 2.5]] * 100, {"kind": "numeric", "size": 3, "indicator": False}),
    ],
)
def test_suggest_when_rows_have_several_values_then_all_are_read(values, expected):
    assert feature(values, pa.array(values).type) == expected
