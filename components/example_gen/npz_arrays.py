"""The arrays of a .npz: what their headers say, and their rows in chunks.

A .npz is a zip of .npy files, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
They are read as streams, so that no array is in memory as a whole, and pickles are not read at all.
"""

from __future__ import annotations

import lzma
import math
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, NamedTuple

import numpy as np

from components.example_gen.file_access import is_file, is_folder, open_binary, told
from components.example_gen.source import DataError

_ALLOWED = "a .npz, as numpy.savez writes it"
_SUFFIX = ".npy"
_COPIED_AT_ONCE = 1 << 20


class StoredArray(NamedTuple):
    """An array of an archive.

    Attributes:
        path: of the archive.
        name: of the array.
        in_columns: whether its columns lie together, rather than its rows.
    """

    path: str
    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    in_columns: bool

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"

    @property
    def where(self) -> str:
        """How to name it to a person."""
        return f"{self.path}: {self.name}"

    @property
    def row_bytes(self) -> int:
        return self.dtype.itemsize * math.prod(self.shape[1:])


def stored_arrays(path: str) -> dict[str, StoredArray]:
    """Returns the arrays of an archive by their names, from their headers alone.

    Raises:
        DataError: if it cannot be read, holds none, or one is of Python objects or cut short.
    """
    found: dict[str, StoredArray] = {}
    with told(path, _ALLOWED):
        if not is_file(path):
            raise DataError.at(path, "a folder" if is_folder(path) else "no such file", _ALLOWED)
    with _readable(path), open_binary(path) as whole, zipfile.ZipFile(whole) as archive:
        for info in archive.infolist():
            where = f"{path}: {info.filename}"
            name = info.filename.removesuffix(_SUFFIX)
            if name == info.filename:
                raise DataError.at(where, "no array", f"arrays, as {_SUFFIX}")
            if name in found:
                raise DataError.at(where, "it twice", "each array once")
            with archive.open(info) as file:
                array = _header(file, path, name)
                size, expected = info.file_size, file.tell() + array.shape[0] * array.row_bytes
            if size != expected:
                raise DataError.at(array.where, f"{size} bytes", f"{expected}, as its header says")
            found[name] = array
    if not found:
        raise DataError.at(path, "no arrays", _ALLOWED)
    return found


def chunks(array: StoredArray, rows: int) -> Iterator[np.ndarray]:
    """Yields an array in parts of so many rows, the last one of fewer.

    Raises:
        DataError: if it cannot be read to its end.
    """
    member = array.name + _SUFFIX
    read = _by_columns if array.in_columns else _by_rows
    with (
        _readable(array.path),
        open_binary(array.path) as whole,
        zipfile.ZipFile(whole) as archive,
        archive.open(member) as file,
    ):
        _header(file, array.path, array.name)
        yield from read(file, array, rows)


def _by_rows(file: IO[bytes], array: StoredArray, rows: int) -> Iterator[np.ndarray]:
    for first in range(0, array.shape[0], rows):
        count = min(rows, array.shape[0] - first)
        content = file.read(count * array.row_bytes)
        if len(content) < count * array.row_bytes:
            raise EOFError(f"the array {array.name} ends in row {first + 1} or after")
        yield np.frombuffer(content, array.dtype).reshape(count, *array.shape[1:])


def _by_columns(file: IO[bytes], array: StoredArray, rows: int) -> Iterator[np.ndarray]:
    """Lays the array out on the disk for the time, as a row of it is in pieces all over it."""
    with tempfile.TemporaryFile() as laid_out:
        shutil.copyfileobj(file, laid_out, _COPIED_AT_ONCE)
        laid_out.flush()
        whole = np.memmap(laid_out, array.dtype, "r", shape=array.shape, order="F")
        for first in range(0, array.shape[0], rows):
            yield np.ascontiguousarray(whole[first : first + rows])


def _header(file: IO[bytes], path: str, name: str) -> StoredArray:
    """Reads the header of a .npy.

    Raises:
        DataError: if the array is of Python objects or structures, or has no rows.
        ValueError: if it is no .npy.
    """
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:  # 3.0 is for structures with names that are not Latin
        allowed = "versions 1.0 and 2.0"
        raise DataError.at(f"{path}: {name}", f"the version {version} of .npy", allowed)
    shape, in_columns, dtype = read(file)
    array = StoredArray(path, name, dtype, tuple(shape), in_columns and len(shape) > 1)
    if dtype.hasobject:
        allowed = "numbers, booleans or text; astype(str) or astype(float) makes them"
        raise DataError.at(array.where, "Python objects, which are pickled", allowed)
    if dtype.kind not in "biufUS" or not dtype.itemsize:
        raise DataError.at(array.where, str(array), "numbers, booleans or text")
    if not shape or min(shape) < 1:
        raise DataError.at(array.where, str(array), "one row or more, of one value or more")
    return array


@contextmanager
def _readable(path: str) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        OSError,
        NotImplementedError,  # a compression that Python does not know
        RuntimeError,  # a password
        ValueError,
    ) as error:
        found = f"no archive of arrays that can be read to its end ({error})"
        raise DataError.at(path, found, _ALLOWED) from None
