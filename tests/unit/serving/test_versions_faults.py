"""The serving directory when a push fails or is killed: each version complete or absent."""

import contextlib
import fcntl
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from serving.config import BatchingConfig, ServeConfig
from serving.text_configs import parse_batching
from serving.versions import content_digest, publish, read_manifest, versions

REPOSITORY = Path(__file__).parents[3]
ROOT_AFTER_A_PUSH = [
    "batching.config",
    "digits",
    "digits.history.jsonl",
    "models.config",
    "monitoring.config",
]


def accept(_folder):
    """A check that every model passes."""


@pytest.fixture(params=["no root yet", "a version is served"])
def root(request, tmp_path, write_plain_model):
    """A serving directory before the push that fails."""
    root = tmp_path / "far" / "serving"
    if request.param == "a version is served":
        source = write_plain_model(tmp_path / "served", "served")
        publish(source, root, "digits", ServeConfig(), {}, accept)
    return root


@pytest.fixture
def candidate(tmp_path, write_plain_model):
    return write_plain_model(tmp_path / "candidate", "candidate")


@pytest.fixture
def push_fails(root, candidate, tmp_path, snapshot):
    """Pushes the candidate, which must raise and leave the directory as it was."""

    def push(error, check=accept, manifest=None):
        before, existed = snapshot(root), (tmp_path / "far").exists()
        with pytest.raises(error):
            publish(candidate, root, "digits", ServeConfig(keep_versions=1), manifest or {}, check)
        assert snapshot(root) == before
        assert (tmp_path / "far").exists() == existed

    return push


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_publish_when_the_check_raises_then_the_directory_is_as_it_was(push_fails, error):
    def refuse(_folder):
        raise error("no")

    push_fails(error, refuse)


def test_publish_when_a_source_file_cannot_be_copied_then_the_directory_is_as_it_was(
    push_fails, candidate
):
    (candidate / "variables" / "zz").symlink_to("nowhere")
    push_fails(shutil.Error)


def test_publish_when_the_disk_fills_up_half_way_then_the_directory_is_as_it_was(
    push_fails, candidate, monkeypatch
):
    def half(source, target):
        target.mkdir()
        shutil.copy2(source / "saved_model.pb", target)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("serving.versions.shutil.copytree", half)
    push_fails(OSError)


def test_publish_when_the_manifest_is_not_json_then_the_directory_is_as_it_was(push_fails):
    push_fails(TypeError, manifest={"uri": Path("x")})


def test_publish_when_the_disk_cannot_be_flushed_then_the_directory_is_as_it_was(
    push_fails, monkeypatch
):
    def fail(_descriptor):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("serving.versions.os.fsync", fail)
    push_fails(OSError)


def test_publish_when_the_source_is_missing_then_the_directory_is_as_it_was(push_fails, candidate):
    shutil.rmtree(candidate)
    push_fails(FileNotFoundError)


def test_publish_when_the_last_one_failed_then_the_next_succeeds(push_fails, root, candidate):
    def refuse(_folder):
        raise ValueError("no")

    push_fails(ValueError, refuse)
    assert publish(candidate, root, "digits", ServeConfig(), {}, accept).is_new


def test_publish_when_models_config_cannot_be_read_then_the_directory_is_as_it_was(
    tmp_path, candidate, snapshot
):
    (tmp_path / "models.config").write_text("model_config_list {")
    before = snapshot(tmp_path)
    with pytest.raises(text_format.ParseError):
        publish(candidate, tmp_path, "digits", ServeConfig(), {}, accept)
    assert snapshot(tmp_path) == before


def test_retirement_when_it_fails_half_way_then_no_visible_version_is_broken(
    tmp_path, write_plain_model, monkeypatch
):
    root, keep_one = tmp_path / "serving", ServeConfig(keep_versions=1)
    publish(write_plain_model(tmp_path / "a", "a"), root, "digits", keep_one, {}, accept)
    publish(write_plain_model(tmp_path / "b", "b"), root, "digits", keep_one, {}, accept)
    first, second = versions(root / "digits")
    third = write_plain_model(tmp_path / "c", "c")

    rmtree = shutil.rmtree

    def half(folder, **options):
        graphs = list(Path(folder).rglob("saved_model.pb"))
        if not graphs:
            return rmtree(folder, **options)
        graphs[0].unlink()
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("serving.versions.shutil.rmtree", half)
    with pytest.raises(OSError, match="Input/output"):
        publish(third, root, "digits", keep_one, {}, accept)

    left, newest = versions(root / "digits")
    assert (left, newest > left > first) == (second, True)
    assert read_manifest(root / "digits" / str(newest))["digest"] == content_digest(third)
    for version in (left, newest):
        assert (root / "digits" / str(version) / "saved_model.pb").is_file()


@pytest.mark.parametrize("fault", ["half written", "not renamed"])
@pytest.mark.parametrize("changed", ["batching.config", "models.config"])
def test_server_files_when_writing_fails_then_the_old_ones_are_whole(
    tmp_path, candidate, monkeypatch, fault, changed
):
    root, config = tmp_path / "serving", ServeConfig()
    publish(candidate, root, "digits", config, {}, accept)
    if changed == "models.config":
        root = root.rename(tmp_path / "moved")
    else:
        config = ServeConfig(batching=BatchingConfig(max_batch_size=8))
    before = {path.name: path.read_text() for path in root.glob("*.config")}
    assert len(before) == 3
    write_text = Path.write_text

    def half(path, text, **options):
        write_text(path, text[: len(text) // 2], **options)
        raise OSError(28, "No space left on device")

    def fail(_source, _target):
        raise OSError(5, "Input/output error")

    if fault == "half written":
        monkeypatch.setattr(Path, "write_text", half)
    else:
        monkeypatch.setattr("serving.versions.os.replace", fail)
    with pytest.raises(OSError):
        publish(candidate, root, "digits", config, {}, accept)
    assert {path.name: path.read_text() for path in root.glob("*.config")} == before

    monkeypatch.undo()
    publish(candidate, root, "digits", config, {}, accept)
    after = {path.name: path.read_text() for path in root.glob("*.config")}
    assert [name for name in after if after[name] != before[name]] == [changed]
    assert not list(root.glob(".*")), "what the failed write left is used up by the next"


KILLED = """
import os, signal, sys
from pathlib import Path
from serving.config import ServeConfig
from serving.versions import publish

rename = os.rename


def die(*_arguments):
    os.kill(os.getpid(), signal.SIGKILL)


def rename_and_die(source, target):
    rename(source, target)
    die()


def accept(_folder):
    pass


if sys.argv[3] == "after the rename":
    os.rename = rename_and_die
publish(Path(sys.argv[1]), Path(sys.argv[2]), "digits", ServeConfig(), {},
        check=die if sys.argv[3] == "in the check" else accept)
"""


@pytest.mark.parametrize(("instant", "visible"), [("in the check", 0), ("after the rename", 1)])
def test_publish_when_an_earlier_push_was_killed_then_the_next_finishes_its_work(
    tmp_path, candidate, instant, visible
):
    root = tmp_path / "serving"
    command = [sys.executable, "-c", KILLED, str(candidate), str(root), instant]
    killed = subprocess.run(command, cwd=REPOSITORY, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(versions(root / "digits")) == visible
    assert len(os.listdir(root)) == 2, "the model's folder and the staging that was left"

    again = publish(candidate, root, "digits", ServeConfig(), {}, accept)

    assert again.is_new == (visible == 0)
    assert len(versions(root / "digits")) == 1
    assert sorted(os.listdir(root)) == ROOT_AFTER_A_PUSH


def is_locked(root):
    """Returns whether another push would have to wait."""
    descriptor = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@pytest.mark.parametrize("refused", [False, True])
def test_publish_when_another_push_is_under_way_then_waits_for_it_to_end(
    tmp_path, candidate, refused
):
    root, seen = tmp_path / "serving", []
    root.mkdir()

    def look(_folder):
        seen.append(is_locked(root))
        if refused:
            raise ValueError("no")

    with pytest.raises(ValueError) if refused else contextlib.nullcontext():
        publish(candidate, root, "digits", ServeConfig(), {}, look)
    assert seen == [True]
    assert not is_locked(root)


def test_publish_when_pushes_run_at_the_same_time_then_each_makes_a_version_of_its_own(
    tmp_path, write_plain_model
):
    root, config = tmp_path / "serving", ServeConfig(keep_versions=100)
    models = [write_plain_model(tmp_path / f"model-{n}", str(n)) for n in range(8)]

    def push(model):
        return publish(model, root, "digits", config, {}, accept).folder

    with ThreadPoolExecutor(len(models)) as pool:
        folders = list(pool.map(push, models))

    assert sorted(int(folder.name) for folder in folders) == versions(root / "digits")
    assert len(set(folders)) == len(models)
    for model, folder in zip(models, folders, strict=True):
        assert read_manifest(folder)["digest"] == content_digest(model)
    assert sorted(os.listdir(root)) == ROOT_AFTER_A_PUSH


PUBLISH_FOR_EVER = """
import itertools, shutil, sys
from pathlib import Path
from serving.config import BatchingConfig, ServeConfig
from serving.versions import publish

scratch, root, names = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3].split(",")
for count in itertools.count(int(sys.argv[4])):
    for name in names:
        (scratch / name).parent.mkdir(parents=True, exist_ok=True)
        (scratch / name).write_text(f"{count} " * 2000)
    config = ServeConfig(keep_versions=2, batching=BatchingConfig(max_batch_size=1 + count % 50))
    publish(scratch, root, f"model-{count % 3}", config, {}, check=lambda folder: None)
    print(count, flush=True)
"""
FILES = ["saved_model.pb", "variables/variables.index"] + [
    f"variables/variables.data-{index}" for index in range(8)
]


def fault_of(version):
    """Returns what is wrong with a visible version, None if it is complete."""
    try:
        contents = {name: (version / name).read_bytes() for name in FILES}
        digest = read_manifest(version)["digest"]
    except (OSError, KeyError, ValueError) as error:
        return repr(error)
    if len(set(contents.values())) != 1 or len(digest) != 64:
        return "files of different models"
    count = contents["saved_model.pb"].split()[0].decode()
    return None if contents["saved_model.pb"].decode() == f"{count} " * 2000 else "cut short"


def look(root):
    """Looks at the directory as a polling server does; returns how many versions it saw."""
    seen = 0
    for model in root.glob("model-*"):
        for version in model.glob("[0-9]*"):
            fault = fault_of(version)
            # A version that was retired while we read it was whole while it was visible.
            assert fault is None or not version.exists(), f"{version}: {fault}"
            seen += fault is None
    if (root / "models.config").exists():
        text = (root / "models.config").read_text()
        server = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
        for entry in server.model_config_list.config:
            assert entry.base_path == str(root / entry.name)
    if (root / "batching.config").exists():
        parse_batching((root / "batching.config").read_text())
    return seen


def test_publish_when_killed_at_any_instant_then_every_visible_version_is_complete(
    tmp_path, candidate
):
    root, scratch = tmp_path / "serving", tmp_path / "scratch"
    instants = random.Random(20)
    pushed = 0
    for attempt in range(10):
        process = subprocess.Popen(
            [sys.executable, "-c", PUBLISH_FOR_EVER, scratch, root, ",".join(FILES), str(pushed)],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout.readline(), "the pushes have begun"
            end = time.monotonic() + instants.uniform(0.0, 0.15)
            while time.monotonic() < end:
                look(root)
        finally:
            process.kill()
            output, _ = process.communicate()
        pushed += 1 + len(output.split()) + 1
        assert process.returncode == -signal.SIGKILL, f"attempt {attempt}: died by itself"
        assert look(root) >= 1

    publish(candidate, root, "model-0", ServeConfig(), {}, accept)
    assert not list(root.glob(".tapeline*")), "nothing of the ten killed pushes is left"
