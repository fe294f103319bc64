"""Opening the store: real files and their damages, servers that are not there."""

from __future__ import annotations

import contextlib
import os
import pickle
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.metadata.config import SqliteConfig
from pipeline.metadata.errors import MetadataError
from pipeline.metadata.opening import _logged, metadata_cause, open_mlmd


def overwrite(path: Path) -> None:
    path.write_bytes(b"no database" * 500)


def cut(path: Path) -> None:
    os.truncate(path, 5000)


def damage_pages(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(40000))


def set_version(version: int) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE MLMDEnv SET schema_version = ?", (version,))

    return change


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (overwrite, "which is damaged: file is not a database; allowed: a whole file"),
        (cut, "which is damaged: database disk image is malformed; allowed: a whole file"),
        (damage_pages, "which is damaged: database disk image is malformed; allowed: a whole file"),
        (set_version(99), "MLMD database version 99 is greater than library version"),
        (set_version(9), "MLMD database version 9 is older than library version"),
        (make_folder, "which cannot be opened or does not exist"),
    ],
)
def test_file_when_spoiled_then_the_cause_is_told_at_once(pipeline_root, spoil, told) -> None:
    path = pipeline_root / "metadata.sqlite"
    spoil(path)
    with pytest.raises(MetadataError) as caught:
        open_mlmd(SqliteConfig(), pipeline_root, patience=60.0)
    assert f"found {path}" in str(caught.value)
    assert told in str(caught.value)


def test_file_when_it_is_to_be_read_and_is_not_there_then_is_not_made(tmp_path) -> None:
    with pytest.raises(MetadataError, match="which cannot be opened or does not exist"):
        open_mlmd(SqliteConfig(), tmp_path, read_only=True)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def locked(pipeline_root: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the file locked; it lets go when its stdin ends."""
    script = (
        "import sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('BEGIN EXCLUSIVE')\n"
        "print('locked', flush=True)\n"
        "sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(pipeline_root / "metadata.sqlite")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_file_when_another_process_lets_go_of_it_then_opens(pipeline_root, locked) -> None:
    opening = subprocess.Popen(
        [
            sys.executable, "-c",
            "import sys; from pathlib import Path\n"
            "from pipeline.metadata.config import SqliteConfig\n"
            "from pipeline.metadata.opening import open_mlmd\n"
            "print('begins', flush=True)\n"
            "open_mlmd(SqliteConfig(), Path(sys.argv[1]))\n"
            "print('opened', flush=True)\n",
            str(pipeline_root),
        ],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert opening.stdout is not None
    assert opening.stdout.readline() == "begins\n"
    with pytest.raises(subprocess.TimeoutExpired):
        opening.wait(1)
    locked.stdin.close()
    assert opening.communicate(timeout=60)[0] == "opened\n"


@pytest.mark.parametrize("backend", ["postgresql", "mysql"])
def test_server_when_nobody_listens_then_is_waited_for_as_long_as_asked(
    section, monkeypatch, closed_port, tmp_path, backend, capfd
) -> None:
    monkeypatch.setenv("METADATA_PASSWORD", "s3cret it's")
    for patience in (0.0, 1.0):
        began = time.monotonic()
        with pytest.raises(MetadataError) as caught:
            open_mlmd(section(backend, port=closed_port), tmp_path, patience=patience)
        assert time.monotonic() - began >= patience
    place = f"{backend} ann@127.0.0.1:{closed_port}/lineage"
    assert f"metadata.host: found {place}, which does not answer: " in str(caught.value)
    # The client's own lines are neither for the terminal nor to be trusted with a password.
    assert capfd.readouterr().err == ""


def test_server_when_there_is_no_password_then_is_not_tried(section, monkeypatch, tmp_path) -> None:
    monkeypatch.delenv("METADATA_PASSWORD", raising=False)
    for backend in ("postgresql", "mysql"):
        with pytest.raises(MetadataError, match=r"METADATA_PASSWORD, which is not set"):
            open_mlmd(section(backend), tmp_path, patience=60.0)


def test_client_s_lines_when_they_hold_the_password_then_are_kept_without_it(capfd) -> None:
    lines: list[str] = []
    client = (
        b"E1129 21:00:41.1 1 postgresql_metadata_source.cc:211] PostgreSQL error: s3cret\n\tx\n"
    )
    with _logged(lines, "s3cret"):
        os.write(2, client + b"another thread's line\n")
    assert "PostgreSQL error: ***" in lines[0]
    assert capfd.readouterr().err == "another thread's line\n"


def test_store_when_open_then_python_keeps_no_connection(pipeline_root) -> None:
    store = open_mlmd(SqliteConfig(), pipeline_root)
    assert store.get_artifact_types() == []
    assert not store._config.ListFields()


def test_cause_when_the_store_raised_it_then_is_explained_and_else_not(load) -> None:
    from ml_metadata import errors

    config = load()
    try:
        try:
            raise errors.AbortedError("Concurrent writes aborted after max number of retries.")
        except errors.AbortedError as error:
            raise RuntimeError("[while running 'Run[Trainer]']") from error
    except RuntimeError as error:
        found = metadata_cause(error, config)
    assert found is not None
    assert "which another process keeps locked" in str(found)
    assert metadata_cause(ValueError("x"), config) is None
    # What is not there is for the one who asked.
    assert metadata_cause(errors.NotFoundError("x"), config) is None


def test_error_when_handed_to_another_process_then_is_the_same() -> None:
    error = MetadataError("metadata.host", "found", "allowed")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
