"""MNIST's IDX files, as http://yann.lecun.com/exdb/mnist/ describes them.

A folder of `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, and of the same of `t10k`, each
plain or as .gz. A file begins with two zero bytes, a type (8: bytes), the number of dimensions and
the size of each, big-endian; then come the values, row by row. The t10k files are the split `test`.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import math
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import BinaryIO, NamedTuple, cast

import numpy as np

from components.example_gen.config import IdxConfig
from components.example_gen.file_access import (
    changed_at,
    exists,
    is_file,
    is_folder,
    open_binary,
    resolved,
    size_of,
    told,
)
from components.example_gen.image_folder import COLUMNS
from components.example_gen.row_source import RowSource
from components.example_gen.source import BadRow, DataError, Origin, Row

_HOME = "http://yann.lecun.com/exdb/mnist/"
_SPLITS = {"train": ("train", "eval"), "t10k": ("test",)}
"""The splits that the rows of each pair of files may fall into."""

_BYTES = 8
"""The type of the values, the only one that pictures and their labels have."""

_LARGEST_SIDE = 4096
_CHUNK = 1 << 22
"""Bytes of pictures read at once."""

_ALLOWED = (
    f"a folder of MNIST's IDX files, as at {_HOME}: "
    + ", ".join(f"{part}-images-idx3-ubyte, {part}-labels-idx1-ubyte" for part in _SPLITS)
    + ", plain or .gz"
)


class _Part(NamedTuple):
    """A file of pictures, and the one of their labels."""

    images: str
    labels: str


class IdxSource(RowSource):
    """The pictures of IDX files as grey PNG, and the names of their classes.

    The classes are the numbers that are labels in the training file, as text, or the names that
    the configuration gives to 0, 1, 2 and so on.
    """

    def __init__(self, config: IdxConfig) -> None:
        self._root = resolved(config.path)
        self._names = config.classes

    @property
    def columns(self) -> Sequence[str]:
        return COLUMNS

    @cached_property
    def class_names(self) -> Sequence[str]:
        """Names in the order of their numbers.

        Raises:
            DataError: if the labels cannot be read, or are all the same.
        """
        return tuple(self._classes.values())

    @cached_property
    def _classes(self) -> Mapping[int, str]:
        """The names of the classes by their numbers."""
        if self._names is not None:
            return dict(enumerate(self._names))
        path = self._parts["train"].labels
        found = np.unique(_labels(path, self._counts["train"])).tolist()
        if len(found) < 2:
            raise DataError.at(path, f"the label {found[0]} alone", "two classes or more")
        return {number: str(number) for number in found}

    def check(self) -> None:
        _ = self._counts, self._classes

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for path in itertools.chain.from_iterable(self._parts.values()):
            name = os.path.basename(path)
            digest.update(f"{name}\0{size_of(path)}\0{changed_at(path)}\n".encode())
        return digest.hexdigest()[:16]

    def origins(self) -> Sequence[Origin]:
        return [Origin("file", path) for path in itertools.chain(*self._parts.values())]

    def row_counts(self) -> Mapping[Sequence[str], int]:
        return {_SPLITS[part]: count for part, count in self._counts.items()}

    def rows(self) -> Iterator[Row | BadRow]:
        from components.example_gen.images import encode_png

        classes = self._classes
        allowed = ", ".join(f"{number}" for number in classes)
        for part, (images, labels) in self._parts.items():
            numbers = _labels(labels, self._counts[part]).tolist()
            pictures = itertools.chain.from_iterable(map(encode_png, _pictures(images)))
            for row, (number, picture) in enumerate(zip(numbers, pictures, strict=True), start=1):
                if number in classes:
                    yield Row(_SPLITS[part], {"image": picture, "label": classes[number]})
                else:
                    where = f"{labels}: record {row}"
                    yield BadRow(where, "label", f"class {number}", f"the classes: {allowed}")

    @cached_property
    def _parts(self) -> Mapping[str, _Part]:
        """The files of the training and of the test.

        Raises:
            DataError: if one is missing, or there both plain and compressed.
        """
        with told(self._root, _ALLOWED):
            if not is_folder(self._root):
                found = "a file" if exists(self._root) else "no such folder"
                raise DataError.at(self._root, found, _ALLOWED)
        return {
            part: _Part(
                _find(self._root, f"{part}-images-idx3-ubyte"),
                _find(self._root, f"{part}-labels-idx1-ubyte"),
            )
            for part in _SPLITS
        }

    @cached_property
    def _counts(self) -> Mapping[str, int]:
        """The rows of each pair of files, by their headers.

        Raises:
            DataError: if a header is wrong, or does not fit the other or the size of the file.
        """
        counts = {}
        for part, (images, labels) in self._parts.items():
            count, height, width = _shape(images, 3)
            sides = f"pictures of 1 to {_LARGEST_SIDE} pixels a side"
            if not (0 < height <= _LARGEST_SIDE and 0 < width <= _LARGEST_SIDE):
                raise DataError.at(images, f"pictures of {height} x {width}", sides)
            (labelled,) = _shape(labels, 1)
            if labelled != count:
                allowed = f"{count}, one a picture of {os.path.basename(images)}"
                raise DataError.at(labels, f"{labelled} labels", allowed)
            counts[part] = count
        return counts


def _find(root: str, name: str) -> str:
    names = [os.path.join(root, name), os.path.join(root, f"{name}.gz")]
    there = [path for path in names if is_file(path)]
    if not there:
        raise DataError.at(root, f"no {name} or {name}.gz", _ALLOWED)
    if len(there) > 1:
        raise DataError.at(there[1], "it and the plain file", "one of them")
    return there[0]


def _shape(path: str, dimensions: int) -> tuple[int, ...]:
    """Returns the sizes in a file's header, and holds a plain file's own size to them.

    Raises:
        DataError: if the header is not one of bytes in so many dimensions, or the size another.
    """
    magic = bytes([0, 0, _BYTES, dimensions])
    header = len(magic) + 4 * dimensions
    with _opened(path) as file:
        start = file.read(header)
    if not start.startswith(magic):
        found, allowed = f"a file that starts with {start[:4].hex(' ')}", magic.hex(" ")
        raise DataError.at(path, found, f"{allowed}, an IDX file of bytes [{dimensions}]")
    if len(start) < header:
        raise DataError.at(path, f"{len(start)} bytes", f"a header of {header}")
    shape = tuple(np.frombuffer(start[4:], ">u4").tolist())
    size, expected = size_of(path), header + math.prod(shape)
    if shape[0] == 0:
        raise DataError.at(path, "no rows", "a row or more")
    if not _is_gzip(path) and size != expected:
        raise DataError.at(path, f"{size} bytes", f"{expected}, as its header says")
    return shape


def _labels(path: str, count: int) -> np.ndarray:
    """Returns the labels [count] uint8: a byte a row, so all of them at once."""
    (labels,) = _chunks(path, 1, (count,), count)
    return labels


def _pictures(path: str) -> Iterator[np.ndarray]:
    """Yields pictures [n, height, width, 1] uint8, as many as a chunk holds."""
    shape = _shape(path, 3)
    at_once = max(1, _CHUNK // math.prod(shape[1:]))
    for values in _chunks(path, 3, shape, at_once):
        yield values[..., np.newaxis]


def _chunks(path: str, dimensions: int, shape: Sequence[int], rows: int) -> Iterator[np.ndarray]:
    """Yields a file's values, so many rows at once.

    Raises:
        DataError: if it holds fewer or more than its header says.
    """
    size = math.prod(shape[1:])
    with _opened(path) as file:
        file.read(4 + 4 * dimensions)
        for first in range(0, shape[0], rows):
            count = min(rows, shape[0] - first)
            content = file.read(count * size)
            if len(content) < count * size:
                found = f"a file that ends in row {first + len(content) // size + 1}"
                raise DataError.at(path, found, f"{shape[0]} rows, as its header says")
            yield np.frombuffer(content, np.uint8).reshape(count, *shape[1:])
        if file.read(1):
            allowed = f"{shape[0]}, as its header says"
            raise DataError.at(path, f"more than {shape[0]} rows", allowed)


def _is_gzip(path: str) -> bool:
    return path.endswith(".gz")


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    """Opens a file for reading, decompressed if its name ends in .gz."""
    try:
        with open_binary(path) as file, gzip.open(file) if _is_gzip(path) else file as plain:
            yield cast(BinaryIO, plain)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError.at(
            path, f"no file that can be read to its end ({error})", _ALLOWED
        ) from None
