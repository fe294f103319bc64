"""CIFAR-10's binary version: records of bytes.

`data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin` hold records of 3,073 bytes: the
number of the class, then the picture. `batches.meta.txt` holds the names of the classes, one a
line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from components.example_gen.cifar10 import VALUES, Cifar10Source
from components.example_gen.config import Cifar10BinaryConfig
from components.example_gen.source import DataError

RECORD = 1 + VALUES
"""Bytes of a record."""

_META = "batches.meta.txt"
_BATCHES = {f"data_batch_{number}.bin": ("train", "eval") for number in range(1, 6)} | {
    "test_batch.bin": ("test",)
}


class Cifar10BinarySource(Cifar10Source):
    """The records of the binary version."""

    def __init__(self, config: Cifar10BinaryConfig) -> None:
        super().__init__(config.path, "binary", _BATCHES, _META)

    def row_counts(self) -> Mapping[Sequence[str], int]:
        counts: dict[Sequence[str], int] = {}
        for name, size in self._found.values():
            if name != _META:
                splits = _BATCHES[name]
                counts[splits] = counts.get(splits, 0) + size // RECORD
        return counts

    def _names(self, content: bytes, where: str) -> Sequence[str]:
        try:
            lines = content.decode().splitlines()
        except UnicodeDecodeError as error:
            raise DataError.at(where, str(error), "the names of the classes in UTF-8") from None
        return [line.strip() for line in lines if line.strip()]

    def _records(self, content: bytes, where: str) -> tuple[Sequence[Any], np.ndarray]:
        records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
        return records[:, 0].tolist(), records[:, 1:]

    def _check_size(self, size: int, where: str) -> None:
        if size == 0 or size % RECORD:
            allowed = f"records of {RECORD} bytes: a class and {VALUES} values of pixels"
            raise DataError.at(where, f"{size} bytes", allowed)
