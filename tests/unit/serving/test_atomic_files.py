"""Files that are whole or absent, and the lock of a folder that may be removed meanwhile."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from serving.atomic_files import exclusive, replace_text
from serving.config import ServeConfig
from serving.versions import publish


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def while_waiting(root, monkeypatch):
    """Does something to the folder between a lock's being asked for and its being had."""
    flock = fcntl.flock

    def set_up(change):
        changes = iter([change])

        def wait(descriptor, operation):
            next(changes, lambda: None)()
            flock(descriptor, operation)

        monkeypatch.setattr("serving.atomic_files.fcntl.flock", wait)

    return set_up


def is_locked(folder) -> bool:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def test_lock_when_held_then_nobody_else_has_it(root):
    with exclusive(root):
        assert is_locked(root)
    assert not is_locked(root)


def test_lock_when_the_folder_is_made_anew_meanwhile_then_that_one_is_locked(root, while_waiting):
    def make_anew():
        # Kept under another name, lest the new folder has the number of the old one.
        root.rename(root.with_name("old"))
        root.mkdir()

    while_waiting(make_anew)
    with exclusive(root):
        assert is_locked(root)


def test_lock_when_the_folder_is_removed_meanwhile_then_said_so(root, while_waiting):
    while_waiting(root.rmdir)
    descriptors = os.listdir("/proc/self/fd")
    with pytest.raises(FileNotFoundError), exclusive(root):
        raise AssertionError("locked")
    assert len(os.listdir("/proc/self/fd")) == len(descriptors)


def test_lock_when_the_folder_is_removed_meanwhile_then_made_where_wanted(root, while_waiting):
    while_waiting(root.rmdir)
    with exclusive(root, create=True):
        assert is_locked(root)


def test_push_when_refused_then_takes_back_its_folders_under_the_lock(
    tmp_path, write_plain_model, monkeypatch
):
    root, rmdir, found = tmp_path / "serving", Path.rmdir, []

    def watch(folder):
        if folder.is_relative_to(root):
            found.append((folder, is_locked(root)))
        rmdir(folder)

    def refuse(_folder):
        raise ValueError("not to be served")

    model = write_plain_model(tmp_path / "model", "x")
    monkeypatch.setattr(Path, "rmdir", watch)
    with pytest.raises(ValueError, match="not to be served"):
        publish(model, root, "digits", ServeConfig(), {}, check=refuse)
    assert not root.exists()
    assert found[-2:] == [(root / "digits", True), (root, True)]


def test_text_when_the_locale_knows_no_umlauts_then_written_as_utf_8(root):
    program = (
        "import sys; from pathlib import Path; from serving.atomic_files import replace_text;"
        "replace_text(Path(sys.argv[1]), 'gr\\u00f6\\u00dfe')"
    )
    subprocess.run(
        [sys.executable, "-X", "utf8=0", "-c", program, str(root / "text")],
        env={**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"},
        check=True,
    )
    assert (root / "text").read_bytes() == "größe".encode()


def test_text_when_it_is_there_already_then_left_alone(root):
    replace_text(root / "text", "größe")
    before = os.stat(root / "text").st_ino
    replace_text(root / "text", "größe")
    assert os.stat(root / "text").st_ino == before


def test_text_when_the_disk_is_full_then_leaves_the_old_one_and_no_part(root):
    path = root / "models.config"
    path.write_bytes(b"old \xff, no UTF-8")
    (root / ".models.config.partial").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device"):
        replace_text(path, "new")
    assert [(found.name, found.read_bytes()) for found in root.iterdir()] == [
        ("models.config", b"old \xff, no UTF-8")
    ]
