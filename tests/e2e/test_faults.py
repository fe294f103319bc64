"""Whole runs that a fault ends: each says what it is, and goes on once the cause is mended.

    make test-chaos

Mounts small file systems, which takes the rights of root.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.small_run import CONFIG

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(3600)]


def _call(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def mount() -> Iterator:
    """Mounts tmpfs of a size on a folder, with options; all are gone when the test ends."""
    mounted: list[Path] = []

    def mount(folder: Path, options: str) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        done = _call("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder))
        if done.returncode != 0:
            pytest.skip(f"may not mount a tmpfs here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in reversed(mounted):
        # What a test has taken away itself is gone already.
        _call("umount", "--lazy", str(folder))


@pytest.fixture(scope="module")
def whole(tmp_path_factory, tapeline):
    """The run that nothing happens to."""
    folder = _folder(tmp_path_factory.mktemp("whole"))
    done = tapeline("run", "small.yaml", "--json", cwd=folder)
    assert done.code == 0, done
    return done.summary


@pytest.fixture
def resumed(tapeline, whole, serving_weights, assert_same_bits):
    """Goes on with the one run of a folder, to the weights that nothing happened to."""

    def resume(folder: Path) -> dict[str, str]:
        done = tapeline("resume", str(_run_dir(folder)), "--json", cwd=folder)
        assert done.code == 0, done
        weights = serving_weights(done.summary["servable"])
        assert_same_bits(weights, serving_weights(whole["servable"]))
        return {node["name"]: node["state"] for node in done.summary["nodes"]}

    return resume


def _folder(folder: Path) -> Path:
    (folder / "small.yaml").write_text(CONFIG)
    return folder


def _root(folder: Path) -> Path:
    return folder / "runs" / "digits"


def _run_dir(folder: Path) -> Path:
    (run_dir,) = (_root(folder) / "runs").iterdir()
    return run_dir


def _assert_failed(done, folder: Path, node: str, *causes: str) -> None:
    """The run failed in a node; its last words are a cause, and the commands that go on."""
    assert done.code == 1, done
    assert "Traceback" not in done.stdout + done.stderr, done
    assert "Exception ignored" not in done.stderr, done
    lines = done.stdout.splitlines()
    (failure,) = [line for line in lines if line.startswith("failed     ")]
    assert node in failure
    assert all(cause in failure for cause in causes), failure
    (same,) = [line for line in lines if line.startswith("same run ")]
    assert same.endswith(f" resume {_run_dir(folder)}")


@pytest.mark.parametrize("megabytes", [1, 3])
def test_run_when_the_disk_is_full_then_says_which_and_resume_completes(
    megabytes, mount, tmp_path, tapeline, resumed
):
    """One that ends in the first nodes, where the log and the metadata find no room either; and
    one that ends in the training.
    """
    folder = _folder(mount(tmp_path / "small", f"size={megabytes}m"))
    done = tapeline("run", "small.yaml", cwd=folder)
    _assert_failed(done, folder, "", "disk full: ", f"{folder} has ", "free some")
    assert f"warning: {folder} has " in done.stdout

    assert _call("mount", "-o", "remount,size=200m", str(folder)).returncode == 0
    resumed(folder)


def test_run_when_the_disk_has_no_room_for_its_first_files_then_is_refused(
    mount, tmp_path, tapeline
):
    folder = _folder(mount(tmp_path / "small", "size=12k"))
    done = tapeline("run", "small.yaml", cwd=folder)
    assert done.code == 2, done
    assert "small.yaml: root: found disk full: " in done.stderr
    assert f"{folder} has 0 MB left" in done.stderr
    assert "Traceback" not in done.stderr

    done = tapeline("resume", str(_run_dir(folder)), cwd=folder)
    assert done.code == 2, done
    assert "the run ended before it had begun; allowed: " in done.stderr


def test_run_when_its_root_is_read_only_then_is_refused_and_resume_completes(
    mount, tmp_path, tapeline, resumed
):
    folder = _folder(tmp_path)
    shut = mount(_root(folder), "ro,size=200m")
    done = tapeline("run", "small.yaml", cwd=folder)
    assert done.code == 2, done
    assert f"small.yaml: root: found {shut}: Read-only file system" in done.stderr

    # It becomes so while a run is going on: what has been opened before can still be written.
    assert _call("mount", "-o", "remount,rw", str(shut)).returncode == 0
    mount(shut / "artifacts" / "Trainer", "ro")
    failed = tapeline("run", "small.yaml", cwd=folder)
    _assert_failed(failed, folder, "Trainer", "read-only: ", f"{shut}/artifacts/Trainer")

    mount(shut / "artifacts", "ro")
    still = tapeline("resume", str(_run_dir(folder)), cwd=folder)
    assert still.code == 2, still
    assert f"root: found {shut}/artifacts, which cannot be written" in still.stderr

    for place in (shut / "artifacts", shut / "artifacts" / "Trainer"):
        assert _call("umount", str(place)).returncode == 0
    states = resumed(folder)
    assert states["Transform"] == "earlier"
    assert states["Trainer"] == "done"


def test_run_when_the_metadata_are_damaged_then_resume_completes_with_a_copy_and_without(
    tmp_path, tapeline, resumed
):
    folder = _folder(tmp_path)
    assert tapeline("run", "small.yaml", cwd=folder).code == 0
    file = _root(folder) / "metadata.sqlite"
    copy = shutil.copy(file, tmp_path / "copy.sqlite")
    file.write_bytes(b"x" * 8192)

    for command in (("run", "small.yaml"), ("resume", str(_run_dir(folder)))):
        done = tapeline(*command, cwd=folder)
        assert done.code == 2, done
        assert f"{file}, which is damaged: file is not a database" in done.stderr
        assert "put a backup in its place; or move it away" in done.stderr

    shutil.copy(copy, file)
    assert set(resumed(folder).values()) == {"earlier"}

    # Executions then count from 1 again, and their folders are not empty.
    (
        _root(folder) / "artifacts" / "ExampleGen" / "examples" / "1" / "Split-train" / "stale"
    ).touch()
    file.unlink()
    assert set(resumed(folder).values()) <= {"done", "cached"}
    assert not list((_root(folder) / "artifacts").rglob("stale"))


def test_run_when_what_a_cached_node_put_out_was_deleted_then_resume_completes(
    mount, tmp_path, tapeline, resumed
):
    folder = _folder(tmp_path)
    graphs = _root(folder) / "artifacts" / "Transform" / "transform_graph"
    mount(_root(folder) / "artifacts" / "Trainer", "ro")
    failed = tapeline("run", "small.yaml", cwd=folder)
    _assert_failed(failed, folder, "Trainer", "read-only: ")
    shutil.rmtree(graphs)
    assert _call("umount", str(_root(folder) / "artifacts" / "Trainer")).returncode == 0

    states = resumed(folder)
    assert states["ExampleGen"] == "earlier"
    assert states["Transform"] == states["Trainer"] == "done"

    (graph,) = graphs.iterdir()
    shutil.rmtree(graph)
    again = tapeline("run", "small.yaml", "--json", cwd=folder)
    assert again.code == 0, again
    assert f"warning: {graph}: it is gone; what made it runs again" in again.stderr
    states = {node["name"]: node["state"] for node in again.summary["nodes"]}
    assert (states["ExampleGen"], states["Transform"]) == ("cached", "done")
