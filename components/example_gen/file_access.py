"""Files of this machine, and those that TensorFlow's file systems open: listed and read alike.

Both fail with `OSError`, so that who reads a file need not know where it is.
"""

from __future__ import annotations

import errno
import glob
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.example_gen.source import DataError


def is_remote(path: str) -> bool:
    """Returns whether a path is one of a file system such as gs:// rather than this machine's."""
    return "://" in path


def resolved(path: str) -> str:
    """Returns a path with `~` as the home folder; of a file system's own paths, nothing changes."""
    return path if is_remote(path) else str(Path(path).expanduser())


def is_file(path: str) -> bool:
    return os.path.isfile(path) if not is_remote(path) else exists(path) and not is_folder(path)


def is_folder(path: str) -> bool:
    if not is_remote(path):
        return os.path.isdir(path)
    from tensorflow.io import gfile

    with _os_errors(path):
        return bool(gfile.isdir(path))


def exists(path: str) -> bool:
    if not is_remote(path):
        return os.path.exists(path)
    from tensorflow.io import gfile

    with _os_errors(path):
        return bool(gfile.exists(path))


def names_in(folder: str) -> list[str]:
    """Returns the names of what lies in a folder, sorted.

    Raises:
        OSError: if it cannot be listed.
    """
    if not is_remote(folder):
        return sorted(os.listdir(folder))
    from tensorflow.io import gfile

    with _os_errors(folder):
        # An object store ends the names of folders with a slash.
        return sorted({name.rstrip("/") for name in gfile.listdir(folder)} - {""})


@contextmanager
def told(path: str, allowed: str) -> Iterator[None]:
    """Makes a `DataError` that names a path of an `OSError`."""
    try:
        yield
    except OSError as error:
        raise DataError.at(path, str(error.strerror or error), allowed) from None


def list_files(path: str, suffixes: Sequence[str], allowed: str) -> list[str]:
    """Returns the files of a path, sorted: itself, those in a folder, or those of a pattern.

    Args:
        suffixes: of the files of a folder that count.
        allowed: what the path should lead to, for the message.

    Raises:
        DataError: if there are none.
    """
    root = resolved(path)
    with told(root, allowed):
        if is_file(root):
            return [root]
        of_folder = is_folder(root)
        if of_folder:
            names = [name for name in names_in(root) if _counts(name, suffixes)]
            found = [file for file in (os.path.join(root, name) for name in names) if is_file(file)]
        else:
            found = [file for file in matching(root) if is_remote(file) or os.path.isfile(file)]
    if not found:
        reason = f"no files with {' '.join(suffixes)}" if of_folder else "no such file"
        raise DataError.at(root, reason, allowed)
    return found


def matching(pattern: str) -> list[str]:
    """Returns the files and folders of a pattern such as `data/*`, sorted.

    Raises:
        OSError: if a file system cannot say.
    """
    if not is_remote(pattern):
        return sorted(glob.glob(pattern))
    from tensorflow.io import gfile

    with _os_errors(pattern):
        return sorted(gfile.glob(pattern))


def open_binary(path: str, begin: int = 0, end: int | None = None) -> io.BufferedReader:
    """Opens a part of a file.

    Raises:
        DataError: if it cannot be opened.
    """
    with told(path, "a file that can be read"):
        file: Any = _RemoteFile(path) if is_remote(path) else io.FileIO(path)
        return io.BufferedReader(_Range(file, begin, size_of(path) if end is None else end), 2**20)


def size_of(path: str) -> int:
    """Returns the bytes of a file.

    Raises:
        OSError: if there is none.
    """
    if is_remote(path):
        return int(_remote_status(path).length)
    return os.path.getsize(path)


def changed_at(path: str) -> int:
    """Returns when a file was changed, in nanoseconds.

    Raises:
        OSError: if there is none.
    """
    if is_remote(path):
        return int(_remote_status(path).mtime_nsec)
    return os.stat(path).st_mtime_ns


class _RemoteFile:
    """A file of TensorFlow's file systems that fails as a file of this machine does."""

    def __init__(self, path: str) -> None:
        from tensorflow.io import gfile

        self._path = path
        self._file = gfile.GFile(path, "rb")

    def seek(self, offset: int) -> None:
        with _os_errors(self._path):
            self._file.seek(offset)

    def read(self, size: int) -> bytes:
        with _os_errors(self._path):
            content: bytes = self._file.read(size)
            return content

    def close(self) -> None:
        self._file.close()


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


@contextmanager
def _os_errors(path: str) -> Iterator[None]:
    """Makes an `OSError` of what TensorFlow's file systems raise."""
    import tensorflow as tf

    try:
        yield
    except tf.errors.NotFoundError as error:
        raise FileNotFoundError(errno.ENOENT, "no such file", path) from error
    except tf.errors.OpError as error:
        raise OSError(errno.EIO, str(error.message), path) from error


def _remote_status(path: str) -> Any:
    from tensorflow.io import gfile

    with _os_errors(path):
        return gfile.stat(path)


def _counts(name: str, suffixes: Sequence[str]) -> bool:
    return not name.startswith((".", "_")) and name.endswith(tuple(suffixes))
