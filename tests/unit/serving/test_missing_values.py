"""What rows lack becomes NaN or the empty text; what is there stays as it is."""

from __future__ import annotations

import numpy as np
import pytest

from serving.array_values import STRING, as_array
from serving.missing_values import NULLABLE, complete

FLOAT, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)
NAN = np.nan


@pytest.mark.parametrize(
    ("rows", "dtype", "rank", "expected"),
    [
        pytest.param([1, None, 2.5], FLOAT, 1, [1, NAN, 2.5], id="numbers"),
        pytest.param([[1], [], np.array([2.5])], FLOAT, 1, [1, NAN, 2.5], id="lists of one"),
        pytest.param([True, np.True_, None, False], DOUBLE, 1, [1, 1, NAN, 0], id="truths"),
        pytest.param([NAN, np.float32(NAN)], FLOAT, 1, [NAN, NAN], id="NaN"),
        pytest.param(["a", None, NAN, b"b"], STRING, 1, [b"a", b"", b"", b"b"], id="texts"),
        pytest.param(np.array([1, NAN]), DOUBLE, 1, [1, NAN], id="array"),
        pytest.param(np.array([[1, NAN]]), DOUBLE, 2, [[1, NAN]], id="array of rank 2"),
        pytest.param([[1], None, [2, 3]], FLOAT, 2, [[1, NAN], [NAN, NAN], [2, 3]], id="several"),
        pytest.param([1, [None, 2]], FLOAT, 2, [[1, NAN], [NAN, 2]], id="one beside two"),
        pytest.param(["a", ["b", None]], STRING, 2, [[b"a", b""], [b"b", b""]], id="words"),
        pytest.param([None, []], STRING, 2, [[b""], [b""]], id="nothing at all"),
        pytest.param([2**53 - 1, None], DOUBLE, 1, [2**53 - 1, NAN], id="largest"),
    ],
)
def test_rows_when_completed_then_have_a_value_in_every_place(rows, dtype, rank, expected) -> None:
    found = as_array(complete(rows, dtype, rank), dtype)
    assert (found.dtype, found.ndim) == (dtype, rank)
    np.testing.assert_array_equal(found, np.array(expected, dtype))


@pytest.mark.parametrize(
    "rows",
    [[1, 2**53], [[None, -(2**53)]], [np.int64(2**53 + 1)], np.array([2**53]), [np.array([2**60])]],
    ids=str,
)
def test_rows_when_a_whole_number_is_too_large_for_its_type_then_refused(rows) -> None:
    with pytest.raises(OverflowError, match=r"which end at 2\^53"):
        complete(rows, DOUBLE, 1)


def test_rows_when_one_has_several_values_for_one_place_then_is_left_to_the_check_of_shapes():
    assert complete([[1, 2]], FLOAT, 1) == [[1, 2]]


def test_nullable_when_said_by_the_exporter_then_is_read_by_the_clients() -> None:
    from trainer_module import named_functions

    assert named_functions.NULLABLE == NULLABLE
