"""Arrays of a NumPy .npz as columns: a row is what all of them hold at one index.

uint8 [n, height, width] and [n, height, width, 1, 3 or 4] are pictures, and become PNG. Other
arrays are of numbers or text: [n] and [n, 1] one a row, [n, d] a list. Arrays called `x_train`,
`y_train`, `x_test` and so on, as in Keras' data sets, are the columns `x` and `y` of these splits.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from components.example_gen.config import SPLITS, NpzConfig
from components.example_gen.file_access import changed_at, resolved, size_of
from components.example_gen.npz_arrays import StoredArray, chunks, stored_arrays
from components.example_gen.npz_values import Fault, Missing, values
from components.example_gen.row_source import RowSource
from components.example_gen.source import BadRow, DataError, Origin, Row

_SPLIT_NAMES = {"train": "train", "eval": "eval", "val": "eval", "valid": "eval", "test": "test"}
_NAME = re.compile(rf"(.+)_({'|'.join(_SPLIT_NAMES)})")
_CHANNELS = (1, 3, 4)
_CHUNK = 1 << 22
"""Bytes of rows read at once."""

_SHAPES = (
    "numbers or text [n] or [n, d], or pictures, uint8 [n, height, width] or "
    "[n, height, width, 1, 3 or 4]"
)

_Arrays = Mapping[str, StoredArray]
"""Arrays by their columns."""


class NpzSource(RowSource):
    """The rows of the arrays of a .npz.

    Not a number (NaN) is a missing value in a column of single numbers, but for the label.
    """

    def __init__(self, config: NpzConfig) -> None:
        self._path = resolved(config.path)
        self._label = config.label

    @property
    def columns(self) -> Sequence[str]:
        return tuple(self._arrays["train"])

    @cached_property
    def class_names(self) -> Sequence[str] | None:
        """The sorted texts that are labels of the training's rows; None where they are numbers."""
        array = self._arrays["train"].get(self._label)
        if array is None or array.dtype.kind not in "US":
            return None
        at_once = max(1, _CHUNK // array.row_bytes)
        labels = set(self._column(self._label, array, at_once))
        return tuple(sorted(label for label in labels if isinstance(label, str)))

    def check(self) -> None:
        """Checks the headers of the arrays.

        Raises:
            DataError: if they do not go together, or the label is no single value.
        """
        for arrays in self._arrays.values():
            label = arrays.get(self._label)
            if label is not None and (label.shape[1:] not in ((), (1,)) or _is_picture(label)):
                raise DataError.at(label.where, str(label), "a label a row: [n] or [n, 1]")

    def fingerprint(self) -> str:
        text = f"{size_of(self._path)}\0{changed_at(self._path)}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def origins(self) -> Sequence[Origin]:
        return [Origin("file", self._path)]

    def row_counts(self) -> Mapping[Sequence[str], int]:
        return {
            self._splits(split): next(iter(arrays.values())).shape[0]
            for split, arrays in self._arrays.items()
        }

    def rows(self) -> Iterator[Row | BadRow]:
        classes = set(self.class_names or ())
        for split, arrays in self._arrays.items():
            splits = self._splits(split)
            for number, found in enumerate(self._columns_of(arrays), start=1):
                row = dict(zip(arrays, found, strict=True))
                label = row.get(self._label)
                if isinstance(label, str) and label not in classes:
                    allowed = f"the classes of train: {', '.join(sorted(classes))}"
                    row[self._label] = Fault(repr(label), allowed)
                yield _bad_row(arrays, number, row) or Row(
                    splits, {name: v for name, v in row.items() if not isinstance(v, Missing)}
                )

    def _columns_of(self, arrays: _Arrays) -> Iterator[tuple[Any, ...]]:
        """Yields the values of each row, in the order of the arrays."""
        at_once = max(1, _CHUNK // sum(array.row_bytes for array in arrays.values()))
        columns = [self._column(name, array, at_once) for name, array in arrays.items()]
        return zip(*columns, strict=True)

    def _column(self, name: str, array: StoredArray, at_once: int) -> Iterator[Any]:
        for part in chunks(array, at_once):
            yield from values(part, is_label=name == self._label)

    def _splits(self, split: str) -> tuple[str, ...]:
        return tuple(
            s for s in SPLITS if s == split or (split == "train" and s not in self._arrays)
        )

    @cached_property
    def _arrays(self) -> Mapping[str, _Arrays]:
        """The arrays of each split by their columns; all under `train` where splits are hashed.

        Raises:
            DataError: if those of a split differ in length, those of another are others, or one has
                a shape that no column has.
        """
        stored = stored_arrays(self._path)
        for array in stored.values():
            if len(array.shape) > 2 and not _is_picture(array):
                raise DataError.at(array.where, str(array), _SHAPES)
        splits = _by_split(stored)
        train = splits["train"]
        for arrays in splits.values():
            first = next(iter(arrays.values()))
            for array in arrays.values():
                if array.shape[0] != first.shape[0]:
                    allowed = f"{first.shape[0]}, as {first.name} has"
                    raise DataError.at(array.where, f"{array.shape[0]} rows", allowed)
            if arrays.keys() != train.keys():
                odd = sorted(arrays.keys() ^ train.keys())
                names = ", ".join(array.name for array in (*train.values(), *arrays.values()))
                allowed = f"each column in each split; found the arrays {names}"
                raise DataError.at(self._path, f"{', '.join(odd)} in one split only", allowed)
            for name, array in arrays.items():
                if _kind(array) != _kind(train[name]):
                    allowed = f"as {train[name].name}: {train[name]}"
                    raise DataError.at(array.where, str(array), allowed)
        return {split: {name: arrays[name] for name in train} for split, arrays in splits.items()}


def _by_split(stored: _Arrays) -> dict[str, dict[str, StoredArray]]:
    """Returns the arrays by split and column, where all their names say both.

    Raises:
        DataError: if two names say the same.
    """
    matches = {name: _NAME.fullmatch(name) for name in stored}
    named = {name: match.groups() for name, match in matches.items() if match}
    if len(named) < len(stored) or "train" not in {split for _, split in named.values()}:
        return {"train": dict(stored)}
    splits: dict[str, dict[str, StoredArray]] = {"train": {}}
    for name, (column, split) in named.items():
        arrays = splits.setdefault(_SPLIT_NAMES[split], {})
        other = arrays.setdefault(column, stored[name])
        if other.name != name:
            raise DataError.at(stored[name].where, f"it and {other.name}", "one of them")
    return splits


def _is_picture(array: StoredArray) -> bool:
    if array.dtype != np.uint8:
        return False
    return len(array.shape) == 3 or (len(array.shape) == 4 and array.shape[3] in _CHANNELS)


def _kind(array: StoredArray) -> tuple[Any, ...]:
    """Returns what two arrays have in common that hold the same column."""
    if _is_picture(array):
        return ("picture",)
    kind = {"b": "integer", "i": "integer", "u": "integer", "f": "number"}
    return (kind.get(array.dtype.kind, "text"), math.prod(array.shape[1:]))


def _bad_row(arrays: _Arrays, number: int, row: Mapping[str, Any]) -> BadRow | None:
    for name, value in row.items():
        if isinstance(value, Fault):
            return BadRow(f"{arrays[name].where}: row {number}", name, value.found, value.allowed)
    return None
