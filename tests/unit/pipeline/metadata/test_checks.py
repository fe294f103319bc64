"""What a run finds out about its metadata before it writes anything."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys

import pytest

from pipeline.config_file import ConfigError, Source
from pipeline.metadata import checks
from pipeline.metadata.checks import check_metadata


@pytest.fixture
def check(load, pipeline_root):
    """Checks the metadata of a run over the pipeline's folder; returns what is wrong with them."""

    def call(*overrides: str) -> str:
        config = load(*overrides)
        assert config.pipeline_root == pipeline_root
        try:
            check_metadata(config, Source("run.yaml", overrides))
        except ConfigError as error:
            return str(error)
        return ""

    return call


def test_metadata_when_whole_or_not_there_yet_then_are_taken(check, pipeline_root, tree) -> None:
    before = tree(pipeline_root)
    assert check() == ""
    assert tree(pipeline_root) == before
    (pipeline_root / "metadata.sqlite").unlink()
    assert check() == ""
    assert tree(pipeline_root) == {}


def test_metadata_when_a_page_that_opening_skips_is_damaged_then_is_found(
    check, pipeline_root
) -> None:
    path = pipeline_root / "metadata.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE More (text TEXT)")
        connection.execute("INSERT INTO More VALUES (?)", ("x" * 20000,))
    with path.open("r+b") as file:
        file.seek(-8192, os.SEEK_END)
        file.write(b"\xff" * 8192)
    told = check()
    assert told.startswith(f"run.yaml: metadata: found {path}, which is damaged: database disk")
    assert "put a backup in its place; or move it away" in told


def test_metadata_when_another_process_has_them_locked_then_says_so(
    check, pipeline_root, monkeypatch
) -> None:
    monkeypatch.setattr(checks, "_LOCK_SECONDS", 0.1)
    path = pipeline_root / "metadata.sqlite"
    script = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('BEGIN IMMEDIATE'); print('locked', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    told = check()
    process.communicate()
    assert f"metadata: found {path}, which another process keeps locked; allowed: " in told
    assert check() == ""


def test_metadata_when_the_server_does_not_answer_then_the_override_is_named(
    check, closed_port, monkeypatch
) -> None:
    monkeypatch.setattr(checks, "_PATIENCE", 0.0)
    monkeypatch.setenv("METADATA_PASSWORD", "s3cret")
    section = (
        f"metadata={{backend: mysql, host: 127.0.0.1, port: {closed_port}, database: lineage, "
        "user: ann, password_env: METADATA_PASSWORD}"
    )
    told = check(section)
    assert told.startswith(f"--set {section}: metadata.host: found mysql ann@127.0.0.1:")
    assert "s3cret" not in told
