"""Folders of a pipeline's root: which may be touched at all, and what removing them frees."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

TRASH = ".trash"
"""What was taken out of its place to be removed: in the root, or beside where it was."""


def is_inside(root: Path, path: Path) -> bool:
    """Returns whether a path leads under `root` by folders alone: no link, no way out."""
    real = os.path.realpath(root)
    below = os.path.relpath(os.path.abspath(path), os.path.abspath(root))
    if below == os.curdir or below.split(os.sep)[0] == os.pardir:
        return False
    return os.path.realpath(path) == os.path.join(real, below)


def newest_change(path: Path) -> float:
    """Returns when a folder, or the last of what is in it, was changed, in seconds since 1970."""
    return max((status.st_mtime for _, status in _statuses(path)), default=0.0)


class Sizes:
    """Counts what is freed when folders are removed, each file once.

    A file that has a name elsewhere too frees nothing, until all its names are among the folders.
    """

    def __init__(self) -> None:
        self._folders: dict[Path, Path] = {}
        self._files: dict[tuple[int, int], tuple[os.stat_result, set[Path]]] = {}

    def add(self, folder: Path) -> None:
        """Takes a folder into account."""
        for path, status in _statuses(folder):
            if stat.S_ISREG(status.st_mode):
                self._folders.setdefault(path, folder)
                key = status.st_dev, status.st_ino
                self._files.setdefault(key, (status, set()))[1].add(path)

    def freed(self) -> dict[Path, int]:
        """Returns the bytes by folder; what several hold together counts for one of them."""
        found: dict[Path, int] = {}
        for status, paths in self._files.values():
            if len(paths) >= status.st_nlink:
                folder = self._folders[min(paths)]
                found[folder] = found.get(folder, 0) + status.st_size
        return found


def _statuses(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yields a folder and all that is in it with their statuses; links are not followed."""
    # A run that goes on while somebody only looks may take away what was there.
    with contextlib.suppress(FileNotFoundError):
        status = path.lstat()
        yield path, status
        if stat.S_ISDIR(status.st_mode):
            for entry in path.iterdir():
                yield from _statuses(entry)
