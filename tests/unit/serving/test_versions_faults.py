"""The serving directory when a push fails or is killed: each version complete or absent."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from serving import versions as serving_versions
from serving.config import BatchingConfig, ServeConfig
from serving.text_configs import parse_batching
from serving.versions import content_digest, publish, read_manifest, versions, write_server_files

REPOSITORY = Path(__file__).parents[3]


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


@pytest.mark.xfail(strict=True, reason="BUG: models.config is read only after the rename")
def test_publish_when_models_config_cannot_be_read_then_the_directory_is_as_it_was(
    tmp_path, candidate, snapshot
):
    (tmp_path / "models.config").write_text("model_config_list {")
    before = snapshot(tmp_path)
    with pytest.raises(text_format.ParseError):
        publish(candidate, tmp_path, "digits", ServeConfig(), {}, accept)
    assert snapshot(tmp_path) == before


@pytest.mark.xfail(strict=True, reason="BUG: a version's number is taken for its folder's name")
def test_publish_when_an_old_version_has_leading_zeros_then_it_is_retired_like_any_other(
    tmp_path, candidate
):
    (tmp_path / "root" / "digits" / "007").mkdir(parents=True)
    publish(candidate, tmp_path / "root", "digits", ServeConfig(keep_versions=1), {}, accept)
    assert len(os.listdir(tmp_path / "root" / "digits")) == 1


def test_retirement_when_it_fails_half_way_then_no_visible_version_is_broken(
    tmp_path, write_plain_model, monkeypatch
):
    root, keep_one = tmp_path / "serving", ServeConfig(keep_versions=1)
    publish(write_plain_model(tmp_path / "a", "a"), root, "digits", keep_one, {}, accept)
    second = write_plain_model(tmp_path / "b", "b")

    def half(folder, **_options):
        next(path for path in Path(folder).rglob("saved_model.pb")).unlink()
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("serving.versions.shutil.rmtree", half)
    with pytest.raises(OSError, match="Input/output"):
        publish(second, root, "digits", keep_one, {}, accept)

    (version,) = (root / "digits").iterdir()
    assert read_manifest(version)["digest"] == content_digest(second)
    assert (version / "saved_model.pb").is_file()


@pytest.mark.parametrize("fault", ["half written", "not renamed"])
def test_server_files_when_writing_fails_then_the_old_ones_are_whole(tmp_path, monkeypatch, fault):
    write_server_files(tmp_path, "digits", ServeConfig())
    before = {path.name: path.read_text() for path in tmp_path.glob("*.config")}
    assert len(before) == 2
    write_text = Path.write_text

    def half(path, text):
        write_text(path, text[: len(text) // 2])
        raise OSError(28, "No space left on device")

    def fail(_source, _target):
        raise OSError(5, "Input/output error")

    if fault == "half written":
        monkeypatch.setattr(Path, "write_text", half)
    else:
        monkeypatch.setattr("serving.versions.os.replace", fail)
    changed = ServeConfig(batching=BatchingConfig(max_batch_size=8))
    for name in ("digits", "other"):
        with pytest.raises(OSError):
            write_server_files(tmp_path, name, changed)

    assert {path.name: path.read_text() for path in tmp_path.glob("*.config")} == before
    monkeypatch.undo()
    write_server_files(tmp_path, "other", changed)
    assert not list(tmp_path.glob(".*")), "what the failed write left is used up by the next"


KILLED_IN_THE_CHECK = """
import os, signal, sys
from pathlib import Path
from serving.config import ServeConfig
from serving.versions import publish

publish(Path(sys.argv[1]), Path(sys.argv[2]), "digits", ServeConfig(), {},
        check=lambda folder: os.kill(os.getpid(), signal.SIGKILL))
"""


def test_publish_when_an_earlier_push_was_killed_then_removes_what_that_one_left(
    tmp_path, candidate
):
    root = tmp_path / "serving"
    command = [sys.executable, "-c", KILLED_IN_THE_CHECK, str(candidate), str(root)]
    killed = subprocess.run(command, cwd=REPOSITORY, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert versions(root / "digits") == []
    assert len(os.listdir(root)) == 2, "the model's folder and the staging that was left"

    assert publish(candidate, root, "digits", ServeConfig(), {}, accept).is_new
    assert sorted(os.listdir(root)) == ["batching.config", "digits", "models.config"]


@pytest.fixture
def killed_after_the_rename(tmp_path, candidate, monkeypatch):
    """A root as a push leaves it that died between its version's rename and the next line."""

    class Killed(BaseException):
        pass

    def die(_folder):
        raise Killed

    monkeypatch.setattr(serving_versions.Path, "rmdir", die)
    with pytest.raises(Killed):
        publish(candidate, tmp_path / "serving", "digits", ServeConfig(), {}, accept)
    monkeypatch.undo()
    return tmp_path / "serving"


def test_publish_when_the_last_push_died_after_the_rename_then_the_server_files_are_made_up(
    killed_after_the_rename, candidate
):
    again = publish(candidate, killed_after_the_rename, "digits", ServeConfig(), {}, accept)
    assert not again.is_new
    assert (killed_after_the_rename / "models.config").is_file()
    assert (killed_after_the_rename / "batching.config").is_file()


@pytest.mark.xfail(strict=True, reason="BUG: stale staging stays while the model is unchanged")
def test_publish_when_the_last_push_died_after_the_rename_then_its_staging_is_removed(
    killed_after_the_rename, candidate
):
    publish(candidate, killed_after_the_rename, "digits", ServeConfig(), {}, accept)
    assert not list(killed_after_the_rename.glob(".*"))


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
