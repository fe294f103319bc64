"""CIFAR-10's python version: pickled arrays, read without running what a pickle says.

`data_batch_1` to `data_batch_5` and `test_batch` each hold a dict of `data`, uint8 [n, 3072], and
`labels`, n numbers; `batches.meta` one of `label_names`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from components.example_gen.cifar10 import VALUES, Cifar10Source
from components.example_gen.config import Cifar10PythonConfig
from components.example_gen.pickled import PickleError, bytes_array, load
from components.example_gen.source import DataError

_META = "batches.meta"
_BATCHES = {f"data_batch_{number}": ("train", "eval") for number in range(1, 6)} | {
    "test_batch": ("test",)
}
_LARGEST = 1 << 28
"""Bytes of a batch's file, ten times those of a real one: it is read as a whole."""


class Cifar10PythonSource(Cifar10Source):
    """The arrays of the python version."""

    def __init__(self, config: Cifar10PythonConfig) -> None:
        super().__init__(config.path, "python", _BATCHES, _META)

    def check(self) -> None:
        super().check()
        _ = self._counts

    def row_counts(self) -> Mapping[Sequence[str], int]:
        return self._counts

    @cached_property
    def _counts(self) -> Mapping[Sequence[str], int]:
        """How many rows there are: only a batch itself says how many it holds."""
        counts: dict[Sequence[str], int] = {}
        for name, where, content in self._contents():
            splits = _BATCHES[name]
            counts[splits] = counts.get(splits, 0) + len(self._records(content, where)[1])
        return counts

    def _names(self, content: bytes, where: str) -> Sequence[str]:
        names = _load(content, where, "label_names")["label_names"]
        if not isinstance(names, list):
            raise DataError.at(where, f"label_names: {_kind(names)}", "a list of names")
        try:
            texts = [name.decode() if isinstance(name, bytes) else name for name in names]
        except UnicodeDecodeError as error:
            raise DataError.at(where, str(error), "the names of the classes in UTF-8") from None
        if not all(isinstance(name, str) for name in texts):
            found = "label_names: a list of other than text"
            raise DataError.at(where, found, "a list of names")
        return texts

    def _records(self, content: bytes, where: str) -> tuple[Sequence[Any], np.ndarray]:
        batch = _load(content, where, "data", "labels")
        try:
            data = bytes_array(batch["data"])
        except PickleError as error:
            raise DataError.at(f"{where}: data", str(error), f"uint8 [n, {VALUES}]") from None
        labels = batch["labels"]
        if data.ndim != 2 or data.shape[1] != VALUES or not len(data):
            found = f"uint8 {list(data.shape)}"
            raise DataError.at(f"{where}: data", found, f"uint8 [n, {VALUES}]")
        if not isinstance(labels, list) or len(labels) != len(data):
            found = f"{len(labels)} labels" if isinstance(labels, list) else _kind(labels)
            allowed = f"a list of {len(data)}, one a picture of data"
            raise DataError.at(f"{where}: labels", found, allowed)
        return labels, data

    def _check_size(self, size: int, where: str) -> None:
        if size > _LARGEST:
            raise DataError.at(where, f"{size} bytes", f"at most {_LARGEST}")


def _load(content: bytes, where: str, *keys: str) -> dict[str, Any]:
    """Returns what a pickled dict holds under these keys, be they text or bytes.

    Raises:
        DataError: if it is no such dict, or says to call what it need not.
    """
    allowed = f"a pickled dict of {', '.join(keys)}"
    try:
        found = load(content)
    except PickleError as error:
        raise DataError.at(where, str(error), allowed) from None
    if not isinstance(found, dict):
        raise DataError.at(where, _kind(found), allowed)
    values = {}
    for key in keys:
        if key not in found and key.encode() not in found:
            raise DataError.at(where, f"no {key}", allowed)
        values[key] = found.get(key.encode(), found.get(key))
    return values


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}"
