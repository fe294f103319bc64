"""CIFAR-10's binary version, as https://www.cs.toronto.edu/~kriz/cifar.html describes it.

`data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin` hold records of 3,073 bytes: the
number of the class, then 1,024 bytes each of red, green and blue, row by row. `batches.meta.txt`
holds the names of the classes, one a line. The official test batch is the split `test`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np

from components.example_gen.config import Cifar10BinaryConfig
from components.example_gen.files import Files, open_files
from components.example_gen.image_folder import COLUMNS, HOME_OF_CIFAR10
from components.example_gen.row_source import RowSource
from components.example_gen.source import DataError, Row

SIDE = 32
RECORD = 1 + 3 * SIDE * SIDE
"""Bytes of a record."""

_META = "batches.meta.txt"
_BATCHES = {f"data_batch_{number}.bin": ("train", "eval") for number in range(1, 6)} | {
    "test_batch.bin": ("test",)
}
"""The splits that the records of each file may fall into."""

_ALLOWED = (
    f"the folder or .tar.gz of CIFAR-10's binary version, from {HOME_OF_CIFAR10}: "
    f"{', '.join(_BATCHES)}, {_META}"
)
_ENCODED_AT_ONCE = 500


class Cifar10BinarySource(RowSource):
    """The pictures of CIFAR-10 as PNG, and the names of their classes."""

    def __init__(self, config: Cifar10BinaryConfig) -> None:
        super().__init__(config.splits)
        self._path = config.path

    @property
    def columns(self) -> Sequence[str]:
        return COLUMNS

    @cached_property
    def class_names(self) -> Sequence[str]:
        """The lines of the meta file.

        Raises:
            DataError: if it is no text, names nothing, or names a class twice.
        """
        path = next(path for path, (name, _) in self._found.items() if name == _META)
        _, content = next(self._files.contents({path}))
        where = self._files.where(path)
        try:
            lines = content.decode().splitlines()
        except UnicodeDecodeError as error:
            raise DataError.at(where, str(error), "the names of the classes in UTF-8") from None
        names = [line.strip() for line in lines if line.strip()]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice or not names:
            found = f"{', '.join(twice)} twice" if twice else "no names"
            raise DataError.at(where, found, "one name of a class a line, each once")
        return tuple(names)

    def check(self) -> None:
        _ = self.class_names

    def fingerprint(self) -> str:
        return self._files.fingerprint()

    def row_counts(self) -> Mapping[Sequence[str], int]:
        counts: dict[Sequence[str], int] = {}
        for name, size in self._found.values():
            if name != _META:
                splits = _BATCHES[name]
                counts[splits] = counts.get(splits, 0) + size // RECORD
        return counts

    def rows(self) -> Iterator[Row]:
        from components.example_gen.images import encode_png

        names = self.class_names
        paths = {path: name for path, (name, _) in self._found.items() if name != _META}
        for path, content in self._files.contents(paths):
            records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
            self._check_labels(path, records[:, 0])
            for first in range(0, len(records), _ENCODED_AT_ONCE):
                part = records[first : first + _ENCODED_AT_ONCE]
                planes = part[:, 1:].reshape(-1, 3, SIDE, SIDE)
                pictures = encode_png(np.moveaxis(planes, 1, -1))
                for label, picture in zip(part[:, 0], pictures, strict=True):
                    yield Row(_BATCHES[paths[path]], {"image": picture, "label": names[label]})

    def _check_labels(self, path: str, labels: np.ndarray) -> None:
        (wrong,) = np.nonzero(labels >= len(self.class_names))
        if len(wrong):
            where = f"{self._files.where(path)}: record {wrong[0] + 1}"
            allowed = f"0 to {len(self.class_names) - 1}, the lines of {_META}"
            raise DataError.at(where, f"class {labels[wrong[0]]}", allowed)

    @cached_property
    def _files(self) -> Files:
        return open_files(self._path, _ALLOWED)

    @cached_property
    def _found(self) -> Mapping[str, tuple[str, int]]:
        """Name and size of each of the files, by its path.

        Raises:
            DataError: if one is missing, there twice, or not of whole records.
        """
        found: dict[str, tuple[str, int]] = {}
        for entry in self._files.entries():
            name = posixpath.basename(entry.path)
            if entry.is_folder or name not in {*_BATCHES, _META}:
                continue
            if name in {other for other, _ in found.values()}:
                raise DataError.at(self._files.where(entry.path), "it twice", "each file once")
            if name in _BATCHES and (entry.size == 0 or entry.size % RECORD):
                allowed = f"records of {RECORD} bytes: a class and {RECORD - 1} values of pixels"
                raise DataError.at(self._files.where(entry.path), f"{entry.size} bytes", allowed)
            found[entry.path] = name, entry.size
        missing = {*_BATCHES, _META} - {name for name, _ in found.values()}
        if missing:
            raise DataError.at(str(self._files.root), f"no {', '.join(sorted(missing))}", _ALLOWED)
        return found
