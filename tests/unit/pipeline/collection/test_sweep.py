"""A collection frees what it says, and one that is killed anywhere is ended by the next."""

import contextlib
import errno
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from tfx.orchestration.portable import cache_utils

from pipeline.collection.books import read_books
from pipeline.collection.collect import collect, look
from pipeline.collection.missing import forget_missing_outputs
from pipeline.collection.plan import LEFTOVERS
from pipeline.config_file import ConfigError
from pipeline.metadata.errors import MetadataError
from pipeline.run_lock import hold_root
from tests.unit.pipeline.collection import killed
from tests.unit.pipeline.collection.conftest import disk_bytes, write

POINTS = [
    "before the books are told",
    "after the books are told",
    "between two renames",
    "while a leftover is removed",
    "while a run is removed",
    "while an artifact is removed",
]


def collected(site, keep_runs=1):
    return collect(site.config, str(site.config_path), keep_runs, 0.0, 0.0)


def served(site, run="1", span=1):
    """A version, an old run and a new one."""
    version = site.run(run, span=span, version=100)
    old = site.run("2", span=2, blessed=False, status="not_blessed")
    site.checkpoints("digits-2", site.trainer("2"))
    write(site.root / "artifacts/Trainer/.system/executor_execution/7/x")
    new = site.run("3", span=3)
    return version, old, new


def test_collect_when_done_then_frees_the_bytes_that_it_says_and_nothing_else(site):
    version, old, new = served(site)
    before = disk_bytes(site.root)
    said = look(site.config, str(site.config_path), 1, 0.0)
    metadata = (site.root / "metadata.sqlite").stat().st_size
    assert disk_bytes(site.root) == before, "looking changes nothing"
    plan = collected(site)
    after = disk_bytes(site.root)
    grown = (site.root / "metadata.sqlite").stat().st_size - metadata
    lock = (site.root / "run.lock").stat().st_size
    assert plan == said
    assert before - after + grown + lock == plan.bytes > 10_000
    for folder in plan.freed:
        assert not folder.path.exists(), folder
    for number in (*version.values(), *new.values()):
        assert site.state(number) == "LIVE" and list(site.uri(number).iterdir())
    assert site.state(old["Model"]) == "DELETED"
    assert not (site.root / ".trash").exists()


def test_collect_when_done_then_the_books_still_say_what_was_made_of_what(site):
    _, old, _ = served(site)
    before = read_books(site.store, "digits").executions
    collected(site)
    books = read_books(site.store, "digits")
    assert books.executions == before
    assert books.artifacts[old["Model"]].uri == str(site.uri(old["Model"]))


def test_collect_when_done_again_then_there_is_nothing_left_to_free(site):
    served(site)
    assert collected(site).freed
    again = collected(site)
    assert again.freed == [] and again.bytes == 0


def test_collect_when_an_artifact_is_freed_then_the_cache_does_not_give_it(site):
    _, old, new = served(site)
    collected(site)
    makers = {kind: read_books(site.store, "digits").makers(old[kind])[0].id for kind in old}
    for kind, execution in makers.items():
        state = site.state(old[kind])
        outputs = cache_utils._get_outputs_of_execution(site, execution)
        assert (outputs is None) == (state == "DELETED"), kind
    assert site.state(old["Model"]) == "DELETED"
    kept = read_books(site.store, "digits").makers(new["Model"])[0].id
    assert cache_utils._get_outputs_of_execution(site, kept)["model"]


def test_collect_when_a_run_goes_on_then_refuses_and_changes_nothing(site):
    served(site)
    before = disk_bytes(site.root)
    with hold_root(site.root, "3"):
        held = disk_bytes(site.root)
        with pytest.raises(ConfigError, match="where run 3 is going on") as caught:
            collected(site)
        assert disk_bytes(site.root) == held
    assert "--wait" in str(caught.value)
    assert held - before < 200, "the lock's own file"


def test_collect_when_the_root_holds_a_link_to_elsewhere_then_that_stays(site, tmp_path):
    _, old, _ = served(site)
    elsewhere = write(tmp_path / "elsewhere" / "precious").parent
    (site.uri(old["Model"]) / "link").symlink_to(elsewhere)
    (site.root / "checkpoints" / "link").symlink_to(elsewhere)
    collected(site)
    assert not site.uri(old["Model"]).exists()
    assert (elsewhere / "precious").is_file()
    assert (site.root / "checkpoints" / "link").is_symlink()


def test_collect_when_a_folder_cannot_be_removed_then_says_which_and_the_next_goes_on(
    site, monkeypatch
):
    _, old, _ = served(site)
    rmtree = shutil.rmtree

    def refused(path):
        if path == site.uri(old["Model"]):
            raise PermissionError(13, "Permission denied", str(path))
        rmtree(path)

    monkeypatch.setattr(shutil, "rmtree", refused)
    with pytest.raises(ConfigError, match=f"{site.uri(old['Model'])}: Permission denied"):
        collected(site)
    assert site.state(old["Model"]) == "DELETED" and site.uri(old["Model"]).exists()
    monkeypatch.undo()
    again = collected(site)
    assert site.uri(old["Model"]) in {f.path for f in again.freed if f.kind == LEFTOVERS}
    assert not site.uri(old["Model"]).exists()


@pytest.mark.parametrize("call", [look, collect])
def test_look_and_collect_when_a_folder_cannot_be_read_then_say_which(site, call, monkeypatch):
    served(site)
    folder, iterdir = site.checkpoints("digits-9"), Path.iterdir

    def refused(self):
        if self == folder:
            raise PermissionError(13, "Permission denied", str(self))
        return iterdir(self)

    monkeypatch.setattr(Path, "iterdir", refused)
    wait = [0.0] if call is collect else []
    with pytest.raises(ConfigError, match=f"root: found {folder}: Permission denied; allowed"):
        call(site.config, str(site.config_path), 1, 0.0, *wait)


def test_collect_when_the_lock_cannot_be_opened_then_names_it(site):
    served(site)
    (site.root / "run.lock").mkdir()
    with pytest.raises(ConfigError, match=r"run\.lock: Is a directory"):
        collected(site)


def test_collect_when_the_books_cannot_be_written_then_makes_room_and_frees_no_artifact(site):
    """As on a full disk, which is when it is called."""
    _, old, _ = served(site)
    shutil.rmtree(site.uri(old["Schema"]))
    with contextlib.closing(sqlite3.connect(site.root / "metadata.sqlite")) as database:
        database.execute(
            "CREATE TRIGGER full BEFORE UPDATE ON Artifact "
            "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
        with pytest.raises(MetadataError, match=r"disk is full.*allowed: a disk with room"):
            collected(site)
        for gone in ("artifacts/Trainer/.system", "checkpoints/digits-2", "runs/2"):
            assert not (site.root / gone).exists(), gone
        assert site.state(old["Model"]) == "LIVE" and list(site.uri(old["Model"]).iterdir())
        database.execute("DROP TRIGGER full")
    collected(site)
    assert site.state(old["Model"]) == "DELETED" and not site.uri(old["Model"]).exists()


def test_collect_when_no_folder_can_be_made_then_frees_all_the_same(site, monkeypatch):
    _, old, _ = served(site)

    mkdir = Path.mkdir

    def full(path, *arguments, **keys):
        if not path.exists():
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        mkdir(path, *arguments, **keys)

    monkeypatch.setattr(Path, "mkdir", full)
    collected(site)
    for gone in (site.uri(old["Model"]), site.root / "checkpoints/digits-2", site.root / "runs/2"):
        assert not gone.exists(), gone


@pytest.mark.parametrize("killed_before", [False, True])
def test_collect_when_a_disk_is_mounted_below_the_root_then_frees_what_is_on_it(
    site, monkeypatch, killed_before
):
    served(site)
    rename, trash = os.rename, site.root / "checkpoints" / ".trash"
    if killed_before:
        write(trash / "latest" / "ckpt")

    def across(source, target):
        if Path(source).parts[:-1] != Path(target).parts[:-1]:
            raise OSError(errno.EXDEV, "Invalid cross-device link", str(source))
        rename(source, target)

    monkeypatch.setattr(os, "rename", across)
    plan = collected(site)
    assert (trash in {folder.path for folder in plan.freed}) == killed_before
    assert not (site.root / "checkpoints" / "digits-2").exists() and not trash.exists()
    assert not (site.root / "runs" / "2").exists()
    assert not (site.root / "runs" / ".trash").exists()


def test_collect_when_what_was_missing_is_freed_then_half_of_it_does_not_come_back(site):
    _, old, _ = served(site)
    half = site.uri(old["Examples"]) / "Split-eval"
    shutil.rmtree(half)
    assert forget_missing_outputs(site.store, "digits")
    collected(site)
    write(site.uri(old["Examples"]) / "Split-train" / "data")
    for split in ("eval", "test"):
        write(site.uri(old["Examples"]) / f"Split-{split}" / "data")
    assert forget_missing_outputs(site.store, "digits") == []
    assert site.state(old["Examples"]) == "DELETED"


@pytest.fixture(scope="module")
def collect_and_die(repository):
    """Collects in a process that is killed with -9 at a point; returns the signal."""
    process = subprocess.Popen(
        [sys.executable, killed.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(repository)},
    )

    def run(site, point):
        process.stdin.write(json.dumps({"config": str(site.config_path), "point": point}) + "\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    yield run
    process.kill()
    process.wait()


@pytest.mark.parametrize("point", POINTS)
def test_collect_when_killed_then_the_books_are_true_and_the_next_one_ends_it(
    site, collect_and_die, point
):
    version, old, new = served(site)
    assert collect_and_die(site, point) == signal.SIGKILL
    is_told = point in ("after the books are told", "while an artifact is removed")
    assert (site.state(old["Model"]) == "DELETED") == is_told
    for artifact in site.store.get_artifacts():
        if artifact.state == artifact.LIVE:
            assert list(Path(artifact.uri).iterdir()), "no live artifact without its folder"
    stopped = [path for path in site.root.glob("runs/*/run.json") if path.parent.name == "2"]
    assert not stopped or (stopped[0].parent / "summary.json").exists(), "no run to be resumed"

    collected(site)
    assert not site.uri(old["Model"]).exists()
    assert not (site.root / ".trash").exists()
    assert not (site.root / "checkpoints" / "digits-2").exists()
    for number in (*version.values(), *new.values()):
        assert site.state(number) == "LIVE" and list(site.uri(number).iterdir())
    assert collected(site).freed == []
