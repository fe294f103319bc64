"""Types of columns: which values are of which, and columns made to be of one.

Three types, as tf.Example has three: int (int64), float (float32) and text (bytes).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.example_gen.config import ColumnType

MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None")
"""Texts that mean in a column of numbers that there is no value; in one of text only "" does."""

ALLOWED: Mapping[str, str] = {
    "int": "a whole number of 64 bits",
    "float": "a finite number",
    "text": "text in UTF-8",
}

_NEARLY_ALL = 0.95

_INT = r"^[+-]?(0|[1-9][0-9]{0,17})$"
_FLOAT = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
# A code such as 00501, which a number would lose the beginning of.
_CODE = r"^[+-]?0[0-9]+$"


class Kinds(NamedTuple):
    """How many values of a column are of each kind; those that are missing are of none."""

    ints: int = 0
    floats: int = 0
    texts: int = 0

    def plus(self, other: Kinds) -> Kinds:
        return Kinds(*(mine + its for mine, its in zip(self, other, strict=True)))

    @property
    def inferred(self) -> ColumnType:
        """The narrowest type that holds all values; a column without any counts as text."""
        if self.texts or not sum(self):
            return "text"
        return "float" if self.floats else "int"

    @property
    def likely(self) -> ColumnType:
        """The narrowest type that holds nearly all values: what the others are is a mistake."""
        enough = _NEARLY_ALL * sum(self)
        narrow: tuple[ColumnType, ...] = ("int", "float")
        return next((kind for kind in narrow if 0 < enough <= self.fitting(kind)), "text")

    def fitting(self, wanted: ColumnType) -> int:
        """Returns how many values a type holds."""
        return {"int": self.ints, "float": self.ints + self.floats, "text": sum(self)}[wanted]

    def resolve(self, wanted: ColumnType | None) -> ColumnType:
        """Returns the type that a column is read as.

        The wanted one, unless most values are not of it: then it is the column that has changed,
        rather than some of its rows being bad.
        """
        if wanted is None or 2 * self.fitting(wanted) < sum(self):
            return self.inferred
        return wanted


class Column(NamedTuple):
    """A column of one type.

    Attributes:
        values: nulls where there is no value; int64, float32 or binary, or lists of these.
        bad: [rows] bool, where there is a value of another type.
    """

    values: pa.Array
    bad: np.ndarray


def kinds(values: pa.Array) -> Kinds:
    """Counts a column's values: of texts by what they say, of others by their type."""
    if _is_list(values.type):
        return kinds(values.flatten())
    present = len(values) - values.null_count
    if pa.types.is_integer(values.type) or pa.types.is_boolean(values.type):
        return Kinds(ints=present)
    if pa.types.is_floating(values.type):
        return Kinds(floats=int(_count(pc.invert(pc.is_nan(values)))))
    return Kinds(texts=present)


def kinds_of_texts(values: pa.StringArray) -> Kinds:
    """Counts what the texts of a file without types say."""
    present = _without_missing(values).drop_null()
    codes = _count(pc.match_substring_regex(present, _CODE))
    ints = _count(pc.match_substring_regex(present, _INT))
    if ints == len(present):
        return Kinds(ints=ints)
    floats = _count(pc.match_substring_regex(present, _FLOAT)) - codes
    return Kinds(ints=ints, floats=floats - ints, texts=len(present) - floats)


def convert(values: pa.Array, wanted: ColumnType) -> Column:
    """Returns a column as one of the wanted type."""
    if _is_list(values.type):
        inner = convert(values.flatten(), wanted)
        lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
        row_of = np.repeat(np.arange(len(values)), lengths)
        bad = np.zeros(len(values), bool)
        bad[row_of[inner.bad]] = True
        keep = inner.values.is_valid().to_numpy(zero_copy_only=False)
        kept = np.bincount(row_of[keep], minlength=len(values))
        return Column(as_lists(inner.values.drop_null(), kept), bad)
    if wanted == "text":
        return _text(values)
    return _int(values) if wanted == "int" else _float(values)


def as_lists(flat: pa.Array, lengths: np.ndarray) -> pa.ListArray:
    """Returns values, divided into lists of these lengths."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), flat)


def _text(values: pa.Array) -> Column:
    none = np.zeros(len(values), bool)
    if pa.types.is_boolean(values.type) or _is_number(values.type):
        return Column(values.cast(pa.string()).cast(pa.binary()), none)
    binary = values.cast(pa.binary())
    return Column(pc.if_else(pc.equal(pc.binary_length(binary), 0), None, binary), none)


def _int(values: pa.Array) -> Column:
    if pa.types.is_floating(values.type):
        present = pc.if_else(pc.is_nan(values), None, values)
        exact = pc.fill_null(pc.equal(pc.floor(present), present), True)
        within = pc.fill_null(pc.less(pc.abs(present), 2.0**53), True)
        fits = pc.and_(exact, within)
        return Column(pc.if_else(fits, present, None).cast(pa.int64()), ~_numpy(fits))
    if not _is_text(values.type):
        return Column(values.cast(pa.int64()), np.zeros(len(values), bool))
    present = _without_missing(values)
    try:
        return Column(present.cast(pa.int64()), np.zeros(len(values), bool))
    except pa.ArrowInvalid:
        fits = pc.fill_null(pc.match_substring_regex(present, _INT), True)
        return Column(pc.if_else(fits, present, None).cast(pa.int64()), ~_numpy(fits))


def _float(values: pa.Array) -> Column:
    wide, unread = wide_numbers(values)
    with np.errstate(over="ignore"):
        narrow = pc.fill_null(wide, 0.0).to_numpy(zero_copy_only=False).astype(np.float32)
    infinite = ~np.isfinite(narrow)
    return Column(pa.array(narrow, mask=_numpy(wide.is_null()) | infinite), unread | infinite)


def wide_numbers(values: pa.Array) -> Column:
    """Returns a column as float64, infinities included; bad is what is no number."""
    if not _is_text(values.type):
        wide = values.cast(pa.float64())
        return Column(pc.if_else(pc.is_nan(wide), None, wide), np.zeros(len(values), bool))
    present = _without_missing(values)
    try:
        return Column(present.cast(pa.float64()), np.zeros(len(values), bool))
    except pa.ArrowInvalid:
        fits = pc.fill_null(pc.match_substring_regex(present, _FLOAT), True)
        return Column(pc.if_else(fits, present, None).cast(pa.float64()), ~_numpy(fits))


def _without_missing(values: pa.StringArray) -> pa.StringArray:
    return pc.if_else(pc.is_in(values, pa.array(MISSING, values.type)), None, values)


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind)


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def _count(flags: pa.Array) -> int:
    return pc.sum(flags).as_py() or 0


def _numpy(flags: pa.Array) -> np.ndarray:
    return flags.to_numpy(zero_copy_only=False)
