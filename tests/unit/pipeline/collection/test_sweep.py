"""A collection frees what it says, and one that is killed anywhere is ended by the next."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tfx.orchestration.portable import cache_utils

from pipeline.collection.books import read_books
from pipeline.collection.collect import collect, look
from pipeline.config_file import ConfigError
from pipeline.run_lock import hold_root
from tests.unit.pipeline.collection import killed
from tests.unit.pipeline.collection.conftest import disk_bytes, write

POINTS = [
    "before the books are told",
    "after the books are told",
    "between two renames",
    "while folders are removed",
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
    said = look(site.config, 1, 0.0)
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


def test_collect_when_a_folder_cannot_be_moved_then_says_which_and_the_next_goes_on(
    site, monkeypatch
):
    _, old, _ = served(site)
    rename = os.rename

    def refused(source, target):
        if source == site.uri(old["Model"]):
            raise PermissionError(13, "Permission denied", str(source))
        rename(source, target)

    monkeypatch.setattr(os, "rename", refused)
    with pytest.raises(ConfigError, match="Permission denied"):
        collected(site)
    assert site.state(old["Model"]) == "DELETED" and site.uri(old["Model"]).exists()
    monkeypatch.undo()
    collected(site)
    assert not site.uri(old["Model"]).exists()


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
    is_told = point != "before the books are told"
    assert (site.state(old["Model"]) == "DELETED") == is_told
    for artifact in read_books(site.store, "digits").live():
        assert list(Path(artifact.uri).iterdir()), "no live artifact without its folder"

    collected(site)
    assert not site.uri(old["Model"]).exists()
    assert not (site.root / ".trash").exists()
    assert not (site.root / "checkpoints" / "digits-2").exists()
    for number in (*version.values(), *new.values()):
        assert site.state(number) == "LIVE" and list(site.uri(number).iterdir())
    assert collected(site).freed == []
