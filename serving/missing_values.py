"""What rows lack, said as a served model takes it: NaN in numbers, the empty text in texts.

A model says in its SignatureDefs which inputs rows may lack: the batch's dimension is called
`nullable`. No TensorFlow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from serving.array_values import STRING

NULLABLE = "nullable"
"""Name of the first dimension of an input that rows may lack."""

# From here on a float64 is not every whole number.
_INEXACT = 2**53


def complete(rows: Sequence[Any] | np.ndarray, dtype: np.dtype, rank: int) -> Any:
    """Returns the rows of a nullable input with a value in every place.

    Args:
        rows: a value each; None, NaN or an empty list where one is missing. Several values are a
            list, for an input of rank 2, which is filled up to the longest.
        dtype: of the input; strings are objects.
        rank: of the input, 1 or 2, the batch's dimension among them.

    Returns:
        An array of numbers as it came, else lists of the input's rank.

    Raises:
        OverflowError: on a whole number that a float64 does not hold.
    """
    if dtype == np.float64:
        _check_exact(rows)
    if isinstance(rows, np.ndarray) and rows.dtype.kind in "fiu" and rows.ndim == rank:
        return rows
    missing: Any = b"" if dtype == STRING else math.nan
    lists = [[_value(item, missing) for item in _items(row)] for row in rows]
    if rank == 1:
        # A list of several is left for the check of shapes to refuse.
        return [row[0] if len(row) == 1 else row or missing for row in lists]
    width = max([1, *map(len, lists)])
    return [row + [missing] * (width - len(row)) for row in lists]


def _items(row: Any) -> Sequence[Any]:
    """Returns the values of a row: a list of them, or one alone."""
    if isinstance(row, np.ndarray):
        return row.reshape(-1).tolist()
    return row if isinstance(row, (list, tuple)) else [row]


def _value(item: Any, missing: Any) -> Any:
    if item is None or (isinstance(item, (float, np.floating)) and math.isnan(item)):
        return missing
    return int(item) if isinstance(item, (bool, np.bool_)) else item


def _check_exact(rows: Any) -> None:
    """Raises OverflowError if a whole number is too large for a float64."""
    if isinstance(rows, np.ndarray) and rows.dtype.kind in "fiub":
        is_exact = rows.dtype.kind in "fb" or bool(np.all(np.abs(rows.astype(float)) < _INEXACT))
    else:
        is_exact = all(
            abs(int(item)) < _INEXACT
            for row in rows
            for item in _items(row)
            if isinstance(item, (int, np.integer))
        )
    if not is_exact:
        raise OverflowError("out of the whole numbers that float64 holds, which end at 2^53")
