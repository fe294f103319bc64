"""How much room there is, by what the kernel says."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.disk import Room, little_room, room_at


def test_room_when_the_folder_is_not_there_yet_then_is_that_of_the_one_around_it(tmp_path):
    room = room_at(tmp_path / "not" / "yet")
    found = os.statvfs(tmp_path)
    assert os.path.ismount(room.mount)
    assert room.total == found.f_blocks * found.f_frsize
    assert 0 <= room.free <= room.total


def test_room_when_shown_then_says_what_is_left_of_what():
    assert str(Room(Path("/mnt"), 3_900_000, 40_000_000, None)) == "/mnt has 3 MB left of 40 MB"
    assert "no inodes left" in str(Room(Path("/mnt"), 10**9, 10**10, 0))


def test_little_room_when_paths_are_on_one_disk_then_is_told_once(tmp_path):
    free = room_at(tmp_path).free
    places = [tmp_path, tmp_path / "a"]
    assert len(little_room(places, little=2 * free + 1)) == 1
    assert little_room(places, little=0) == []
