"""What a column of a table looks like, and what that makes one suspect of it."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_UNIQUE_ENOUGH = 0.95
_ROWS_TO_TELL = 50
_SECONDS = (3e8, 4.2e9)
"""1979 to 2103 as seconds since 1970: a whole column of such numbers is times."""
_ISO = r"^\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2})?.*)?$"


class Suspicion(enum.Enum):
    """Why a column should not be learned from."""

    EMPTY = "no values"
    CONSTANT = "the same value in every row"
    IDENTIFIER = "another value in almost every row, as an identifier has"
    LEAK = "predicts the label alone"


@dataclass(frozen=True)
class ColumnProfile:
    """A column, described.

    Attributes:
        name: of the column.
        type: int, float or text; what one value is of where a row has several.
        missing: fraction of rows without a value.
        distinct: how many different values there are.
        values: how many values the fullest row has; 1 but for lists.
        lengths_differ: whether rows have different numbers of values.
        example: a value of it, as text.
        words: mean number of words; 0 for numbers.
        date: `seconds`, `milliseconds` or `iso` if all values look like times, else None.
        low, high, median: of numbers, nan for texts.
        skewed: whether a few values are far larger than the others, all being positive.
        suspicion: why it should be left out, if it should.
        alone: how well it predicts the label by itself: AUC, accuracy or R², see `leaks`.
    """

    name: str
    type: str
    missing: float
    distinct: int
    values: int
    lengths_differ: bool
    example: str
    words: float = 0.0
    date: str | None = None
    low: float = math.nan
    high: float = math.nan
    median: float = math.nan
    skewed: bool = False
    suspicion: Suspicion | None = None
    alone: float = math.nan


def profile_column(name: str, column: pa.ChunkedArray) -> ColumnProfile:
    """Looks at a column of int64, float32 or binary, or of lists of these."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = len(column)
    values, lengths_differ = 1, False
    if pa.types.is_list(column.type):
        lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
        values, lengths_differ = int(lengths.max(initial=0)), len(set(lengths[lengths > 0])) > 1
        missing = float((lengths == 0).mean()) if rows else 1.0
        column = pc.list_flatten(column)
    else:
        missing = column.null_count / rows if rows else 1.0
    series = column.drop_null().to_pandas()
    found: dict[str, Any] = {
        "name": name,
        "type": _type_name(column.type),
        "missing": missing,
        "distinct": int(series.nunique()),
        "values": values,
        "lengths_differ": lengths_differ,
        "example": _text(series.iloc[0]) if len(series) else "",
    }
    if not len(series):
        return ColumnProfile(**found, suspicion=Suspicion.EMPTY)
    if found["type"] == "text":
        texts = series.map(lambda value: value.decode(errors="replace"))
        found["words"] = float(texts.str.count(r"\w+").mean())
        found["date"] = "iso" if texts.str.match(_ISO).all() else None
    else:
        found |= _of_numbers(series)
    return ColumnProfile(**found, suspicion=_suspicion(found, len(series), rows))


def _of_numbers(series: pd.Series) -> dict[str, Any]:
    low, high, median = float(series.min()), float(series.max()), float(series.median())
    date = None
    if series.dtype.kind == "i" and series.nunique() > 2:
        if _SECONDS[0] <= low and high <= _SECONDS[1]:
            date = "seconds"
        elif 1000 * _SECONDS[0] <= low and high <= 1000 * _SECONDS[1]:
            date = "milliseconds"
    far = float(np.quantile(series, 0.99))
    skewed = low >= 0 and far > 0 and far > 10 * max(median, 1e-9)
    return {
        "low": low, "high": high, "median": median, "date": date, "skewed": skewed,
    }  # fmt: skip


def _suspicion(found: dict[str, Any], present: int, rows: int) -> Suspicion | None:
    if found["distinct"] == 1 and (found["missing"] == 0 or present < 0.01 * rows):
        return Suspicion.CONSTANT
    many = present >= _ROWS_TO_TELL and found["distinct"] > _UNIQUE_ENOUGH * present
    is_code = found["type"] == "int" or (found["type"] == "text" and found["words"] < 4)
    if many and is_code and found["values"] == 1 and not found["date"]:
        return Suspicion.IDENTIFIER
    return None


def _type_name(kind: pa.DataType) -> str:
    import pyarrow as pa

    if pa.types.is_integer(kind):
        return "int"
    return "float" if pa.types.is_floating(kind) else "text"


def _text(value: Any) -> str:
    text = value.decode(errors="replace") if isinstance(value, bytes) else f"{value:g}"
    return text if len(text) <= 30 else text[:27] + "..."
