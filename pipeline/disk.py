"""How much room there is where a run writes, and a word while there still is some."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

LITTLE = 500 * 10**6
"""Bytes under which a person is told before a run begins: a small one writes some tens of MB."""


@dataclass(frozen=True)
class Room:
    """What is left on a file system.

    Attributes:
        mount: the folder that it is mounted at.
        free: bytes that this user may still write.
        total: its size in bytes.
        files: how many more files it takes; None if it does not count them.
    """

    mount: Path
    free: int
    total: int
    files: int | None

    def __str__(self) -> str:
        if self.files == 0:
            return f"{self.mount} takes no more files (no inodes left)"
        return f"{self.mount} has {_megabytes(self.free)} left of {_megabytes(self.total)}"


def room_at(path: Path) -> Room:
    """Returns the room where a path is, or will be.

    Raises:
        OSError: if that cannot be told.
    """
    place = path.absolute()
    existing = next(found for found in (place, *place.parents) if os.path.exists(found)).resolve()
    mount = next(found for found in (existing, *existing.parents) if os.path.ismount(found))
    found = os.statvfs(existing)
    files = found.f_favail if found.f_files else None
    size = found.f_frsize
    return Room(mount, found.f_bavail * size, found.f_blocks * size, files)


def little_room(paths: Iterable[Path], little: int = LITTLE) -> list[Room]:
    """Returns the file systems of some paths that are nearly full, the fullest first.

    One that cannot be asked is left out: who writes there will be told.
    """
    rooms: dict[Path, Room] = {}
    for path in paths:
        try:
            room = room_at(path)
        except OSError:
            continue
        if room.files == 0 or room.free < little:
            rooms[room.mount] = room
    return sorted(rooms.values(), key=lambda room: (room.files != 0, room.free))


def _megabytes(size: int) -> str:
    return f"{size // 10**6} MB"
