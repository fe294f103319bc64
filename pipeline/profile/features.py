"""How each column of a table is best read, judged by what it looks like."""

from __future__ import annotations

from typing import Any

from pipeline.profile.columns import ColumnProfile

_FEW_NUMBERS = 100
_ROWS_A_CATEGORY = 20
_FEW_CODES = 1000
_CODE = 1e6
"""Whole numbers from here on that take few values name things, as area codes do."""
_PROSE_WORDS = 4
_LARGEST_VOCABULARY = 10_000
_LONGEST_TEXT, _LONGEST_LIST = 128, 32


def suggest(column: ColumnProfile, rows: int) -> dict[str, Any]:
    """Returns the options of the tabular task's feature of a column."""
    if column.type == "float" or (column.type == "int" and not _names_things(column, rows)):
        return _numeric(column)
    if column.date and column.values == 1:
        return {"kind": "date"} | ({} if column.date != "milliseconds" else {"unit": column.date})
    if column.type == "text" and column.words >= _PROSE_WORDS and column.distinct > 0.3 * rows:
        return {"kind": "text", "max_tokens": _power_of_two(2 * column.words, _LONGEST_TEXT)}
    found: dict[str, Any] = {"kind": "categorical"}
    found["top_k"] = _power_of_two(column.distinct, _LARGEST_VOCABULARY)
    if column.distinct > _FEW_CODES:
        found["min_count"] = 2
    if column.values > 1:
        found["max_values"] = min(column.values, _LONGEST_LIST)
    return found


def _names_things(column: ColumnProfile, rows: int) -> bool:
    """Returns whether whole numbers are names rather than quantities."""
    if column.date or column.values > 1:
        return True
    if column.low >= _CODE and column.distinct <= _FEW_CODES:
        return True
    return 2 < column.distinct <= min(_FEW_NUMBERS, rows // _ROWS_A_CATEGORY) and column.low >= 0


def _numeric(column: ColumnProfile) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": "numeric"}
    if column.values > 1:
        found["size"] = column.values
    elif column.skewed:
        found["scale"] = "log"
    if column.missing == 0:
        found["indicator"] = False
    return found


def _power_of_two(least: float, most: int) -> int:
    """Returns room for growth: a model fits the next span's categories, too."""
    size = 8
    while size < least and size < most:
        size *= 2
    return min(size, most)
