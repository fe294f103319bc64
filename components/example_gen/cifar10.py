"""What CIFAR-10's binary and python versions share: batches, names of classes, a test batch.

Both are described at https://www.cs.toronto.edu/~kriz/cifar.html. A picture is 1,024 bytes each of
red, green and blue, row by row; the official test batch is the split `test`.
"""

from __future__ import annotations

import abc
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from components.example_gen.files import Files, open_files
from components.example_gen.image_folder import COLUMNS, HOME_OF_CIFAR10
from components.example_gen.row_source import RowSource
from components.example_gen.source import BadRow, DataError, Origin, Row

SIDE = 32
VALUES = 3 * SIDE * SIDE
"""Bytes of a picture."""

_ENCODED_AT_ONCE = 500


class Cifar10Source(RowSource):
    """The pictures of CIFAR-10 as PNG, and the names of their classes.

    Args:
        path: of the folder, or of the archive that it comes in.
        version: what the site calls it.
        batches: the splits that the records of each file may fall into, by the file's name.
        meta: name of the file of the classes' names.
    """

    def __init__(
        self, path: str, version: str, batches: Mapping[str, Sequence[str]], meta: str
    ) -> None:
        self._path = path
        self._batches = batches
        self._meta = meta
        self._allowed = (
            f"the folder or .tar.gz of CIFAR-10's {version} version, from {HOME_OF_CIFAR10}: "
            f"{', '.join(batches)}, {meta}"
        )

    @abc.abstractmethod
    def _names(self, content: bytes, where: str) -> Sequence[str]:
        """Returns the names of the classes that the meta file holds.

        Raises:
            DataError: if it cannot be read.
        """

    @abc.abstractmethod
    def _records(self, content: bytes, where: str) -> tuple[Sequence[Any], np.ndarray]:
        """Returns the labels [n] and the pictures [n, VALUES], uint8, of a batch.

        Raises:
            DataError: if it cannot be read.
        """

    @property
    def columns(self) -> Sequence[str]:
        return COLUMNS

    @cached_property
    def class_names(self) -> Sequence[str]:
        """The names in the meta file, in its order.

        Raises:
            DataError: if it cannot be read, names nothing, or names a class twice.
        """
        path = next(path for path, (name, _) in self._found.items() if name == self._meta)
        _, content = next(self._files.contents({path}))
        where = self._files.where(path)
        names = self._names(content, where)
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice or not names:
            found = f"{', '.join(twice)} twice" if twice else "no names"
            raise DataError.at(where, found, "the names of the classes, each once")
        return tuple(names)

    def check(self) -> None:
        _ = self.class_names

    def fingerprint(self) -> str:
        return self._files.fingerprint()

    def origins(self) -> Sequence[Origin]:
        return self._files.origins(sorted(self._found))

    def rows(self) -> Iterator[Row | BadRow]:
        from components.example_gen.images import encode_png

        names = self.class_names
        for name, where, content in self._contents():
            labels, records = self._records(content, where)
            for first in range(0, len(records), _ENCODED_AT_ONCE):
                part = slice(first, first + _ENCODED_AT_ONCE)
                planes = records[part].reshape(-1, 3, SIDE, SIDE)
                pictures = encode_png(np.moveaxis(planes, 1, -1))
                for number, (label, picture) in enumerate(
                    zip(labels[part], pictures, strict=True), start=first + 1
                ):
                    if type(label) is int and 0 <= label < len(names):
                        yield Row(self._batches[name], {"image": picture, "label": names[label]})
                    else:
                        allowed = f"0 to {len(names) - 1}, the names in {self._meta}"
                        found = f"class {label!r:.50}"
                        yield BadRow(f"{where}: record {number}", "label", found, allowed)

    def _contents(self) -> Iterator[tuple[str, str, bytes]]:
        """Yields name, place and content of each batch, one at a time."""
        paths = {path: name for path, (name, _) in self._found.items() if name != self._meta}
        for path, content in self._files.contents(paths):
            yield paths[path], self._files.where(path), content

    def _check_size(self, size: int, where: str) -> None:
        """Checks the size of a batch's file, without reading it.

        Raises:
            DataError: if no batch has this size.
        """

    @cached_property
    def _files(self) -> Files:
        return open_files(self._path, self._allowed)

    @cached_property
    def _found(self) -> Mapping[str, tuple[str, int]]:
        """Name and size of each of the files, by its path.

        Raises:
            DataError: if one is missing, there twice, or of a size that none has.
        """
        found: dict[str, tuple[str, int]] = {}
        for entry in self._files.entries():
            name = posixpath.basename(entry.path)
            if entry.is_folder or name not in {*self._batches, self._meta}:
                continue
            if name in {other for other, _ in found.values()}:
                raise DataError.at(self._files.where(entry.path), "it twice", "each file once")
            if name != self._meta:
                self._check_size(entry.size, self._files.where(entry.path))
            found[entry.path] = name, entry.size
        missing = {*self._batches, self._meta} - {name for name, _ in found.values()}
        if missing:
            found_not = f"no {', '.join(sorted(missing))}"
            raise DataError.at(self._files.root, found_not, self._allowed)
        return found
