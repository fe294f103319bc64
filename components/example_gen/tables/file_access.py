"""Files of this machine, and those that TensorFlow's file systems open: listed and read."""

from __future__ import annotations

import glob
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from components.example_gen.source import DataError


def is_remote(path: str) -> bool:
    """Returns whether a path is one of a file system such as gs:// rather than this machine's."""
    return "://" in path


def list_files(path: str, suffixes: Sequence[str], allowed: str) -> list[str]:
    """Returns the files of a path, sorted: itself, those in a folder, or those of a pattern.

    Args:
        suffixes: of the files of a folder that count.
        allowed: what the path should lead to, for the message.

    Raises:
        DataError: if there are none.
    """
    if is_remote(path):
        return _remote_files(path, suffixes, allowed)
    root = Path(path).expanduser()
    if root.is_file():
        return [str(root)]
    if root.is_dir():
        found = [
            str(entry)
            for entry in sorted(root.iterdir())
            if entry.is_file() and _counts(entry.name, suffixes)
        ]
    else:
        found = sorted(file for file in glob.glob(str(root)) if os.path.isfile(file))
    if not found:
        reason = f"no files with {' '.join(suffixes)}" if root.is_dir() else "no such file"
        raise DataError.at(str(root), reason, allowed)
    return found


def open_binary(path: str, begin: int = 0, end: int | None = None) -> io.BufferedReader:
    """Opens a part of a file.

    Raises:
        DataError: if it cannot be opened.
    """
    try:
        file: Any
        if is_remote(path):
            from tensorflow.io import gfile

            file = gfile.GFile(path, "rb")
        else:
            file = Path(path).open("rb", buffering=0)  # noqa: SIM115  the range closes it
        return io.BufferedReader(_Range(file, begin, size_of(path) if end is None else end), 2**20)
    except OSError as error:
        raise DataError.at(path, str(error.strerror or error), "a file that can be read") from None


def size_of(path: str) -> int:
    """Returns the bytes of a file."""
    if is_remote(path):
        from tensorflow.io import gfile

        return int(gfile.stat(path).length)
    return os.path.getsize(path)


def changed_at(path: str) -> int:
    """Returns when a file was changed, in nanoseconds."""
    if is_remote(path):
        from tensorflow.io import gfile

        return int(gfile.stat(path).mtime_nsec)
    return os.stat(path).st_mtime_ns


class _Range(io.RawIOBase):
    """The bytes of an open file from `begin` up to `end`."""

    def __init__(self, file: Any, begin: int, end: int) -> None:
        self._file = file
        self._begin, self._end, self._at = begin, end, begin
        file.seek(begin)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        bases = {io.SEEK_SET: self._begin, io.SEEK_CUR: self._at, io.SEEK_END: self._end}
        self._at = bases[whence] + offset
        self._file.seek(self._at)
        return self.tell()

    def tell(self) -> int:
        return self._at - self._begin

    def readinto(self, buffer: Any) -> int:
        size = max(0, min(len(buffer), self._end - self._at))
        content = self._file.read(size) if size else b""
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _remote_files(path: str, suffixes: Sequence[str], allowed: str) -> list[str]:
    import tensorflow as tf

    gfile = tf.io.gfile
    try:
        if gfile.isdir(path):
            names = (name for name in gfile.listdir(path) if _counts(name, suffixes))
            found = sorted(os.path.join(path, name) for name in names)
        else:
            found = sorted(gfile.glob(path))
    except tf.errors.OpError as error:
        raise DataError.at(path, str(error.message), allowed) from None
    if not found:
        raise DataError.at(path, "no such file", allowed)
    return found


def _counts(name: str, suffixes: Sequence[str]) -> bool:
    return not name.startswith((".", "_")) and name.endswith(tuple(suffixes))
