"""Files that are whole or absent whatever is killed when, and the lock of those who write them."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def exclusive(folder: Path, create: bool = False) -> Iterator[None]:
    """Holds a lock on a folder, without a file in it; a second holder waits for the first.

    Args:
        create: makes the folder where there is none.

    Raises:
        FileNotFoundError: if there is no such folder, or no longer one when the lock is free.
    """
    descriptor = _locked(folder, create)
    try:
        yield
    finally:
        os.close(descriptor)


def _locked(folder: Path, create: bool) -> int:
    """Returns a descriptor of the folder, locked: of the one that is there once the lock is had."""
    while True:
        if create:
            folder.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            if create:  # and another removed it since
                continue
            raise
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_at(descriptor, folder):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        # The holder before removed the folder: its lock keeps nobody from the new one.
        os.close(descriptor)


def _is_at(descriptor: int, folder: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(folder))
    except FileNotFoundError:
        return False


def replace_text(path: Path, text: str) -> None:
    """Writes a text beside its file and renames it; leaves a file alone that has it already.

    The caller holds the lock of the folder that the file is under: the name beside it is fixed, so
    that the next write uses up what a killed one left. A write that fails leaves nothing.
    """
    if path.is_file() and path.read_bytes() == text.encode():
        return
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def append_line(path: Path, line: str) -> None:
    """Appends a line and flushes it to disk, apart from what a killed write left of another."""
    is_new = not path.exists()
    with path.open("ab+") as file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                line = f"\n{line}"
        file.write(f"{line}\n".encode())
        file.flush()
        os.fsync(file.fileno())
    if is_new:
        sync_folder(path.parent)


def sync_tree(folder: Path) -> None:
    """Flushes a tree to disk, so that a rename never becomes visible before its content."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            sync_folder(path)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Flushes the names in a folder to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
