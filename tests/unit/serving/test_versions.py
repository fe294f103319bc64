"""The serving directory in the hands of one push after another: versions, manifest, files."""

import hashlib
import json
import os
import tracemalloc

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from serving.config import BatchingConfig, ServeConfig
from serving.text_configs import parse_batching, parse_monitoring
from serving.version_folders import MANIFEST
from serving.versions import content_digest, newest_version, publish, read_manifest, versions

KEEP_ALL = ServeConfig(keep_versions=1000)
ROOT_AFTER_A_PUSH = [
    "batching.config",
    "digits",
    "digits.history.jsonl",
    "models.config",
    "monitoring.config",
]


def accept(_folder):
    """A check that every model passes."""


@pytest.fixture
def root(tmp_path):
    return tmp_path / "serving"


@pytest.fixture
def push(tmp_path, root, write_plain_model):
    """Pushes a model whose files hold `content`."""

    def run(content, config=KEEP_ALL, model_name="digits", check=accept, complete=None):
        source = tmp_path / f"model-{content}"
        if not source.exists():
            write_plain_model(source, content)
        return publish(source, root, model_name, config, {"dataset": "bundled"}, check, complete)

    return run


@pytest.fixture
def clock(monkeypatch):
    """A clock that says what it is told to."""

    def set_to(seconds):
        monkeypatch.setattr("serving.versions.time.time", lambda: seconds)

    return set_to


def times(folder):
    return {path: path.stat().st_mtime_ns for path in (folder, *folder.rglob("*"))}


def test_publish_when_the_root_is_missing_then_makes_a_complete_version(
    push, root, tmp_path, snapshot
):
    published = push("a")

    assert published.is_new
    assert published.folder.parent == root / "digits"
    copied = snapshot(published.folder)
    assert set(copied) - set(snapshot(tmp_path / "model-a")) == {
        "assets.extra",
        "assets.extra/tapeline.json",
        "batching_params.pbtxt",
    }
    assert copied.items() >= snapshot(tmp_path / "model-a").items()


def test_publish_when_done_then_nothing_else_is_left_in_the_root(push, root):
    push("a")
    push("b", ServeConfig(keep_versions=1))
    assert sorted(os.listdir(root)) == ROOT_AFTER_A_PUSH


def test_publish_when_done_then_the_manifest_holds_the_origin_and_the_digest(push, tmp_path):
    published = push("a")
    manifest = json.loads((published.folder / "assets.extra" / "tapeline.json").read_text())
    assert manifest == {"dataset": "bundled", "digest": content_digest(tmp_path / "model-a")}
    assert read_manifest(published.folder) == manifest


def test_publish_when_the_model_has_extra_assets_then_they_are_kept(
    tmp_path, root, write_plain_model
):
    source = write_plain_model(tmp_path / "model", "a")
    (source / "assets.extra").mkdir()
    (source / "assets.extra" / "tf_serving_warmup_requests").write_text("warm")
    published = publish(source, root, "digits", KEEP_ALL, {}, accept)
    extra = published.folder / "assets.extra"
    assert (extra / "tf_serving_warmup_requests").read_text() == "warm"
    assert (extra / "tapeline.json").is_file()


def test_publish_when_checking_then_the_check_sees_the_whole_copy_before_any_server_does(
    push, root, tmp_path, snapshot
):
    seen = []

    def look(folder):
        assert snapshot(folder) == snapshot(tmp_path / "model-a")
        assert root in folder.parents, "a rename is atomic on one file system only"
        assert versions(root / "digits") == []
        assert all(name.startswith(".") for name in os.listdir(root) if name != "digits")
        seen.append(folder)

    push("a", check=look)
    assert len(seen) == 1


def test_publish_when_files_are_added_then_the_check_sees_them_and_the_digest_does_not(
    push, tmp_path
):
    def complete(folder, digest):
        assert digest == content_digest(tmp_path / "model-a")
        (folder / "card.txt").write_text("a card")

    def check(folder):
        assert (folder / "card.txt").read_text() == "a card"

    first = push("a", check=check, complete=complete)
    assert (first.folder / "card.txt").read_text() == "a card"
    assert not (tmp_path / "model-a" / "card.txt").exists()

    def fail(folder, digest):
        raise AssertionError("what is served already is complete")

    assert push("a", complete=fail).folder == first.folder


def test_publish_when_adding_files_fails_then_the_directory_is_as_it_was(push, root, snapshot):
    def fail(folder, digest):
        (folder / "half.txt").write_text("half a")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        push("a", complete=fail)
    assert not root.exists()
    push("a")
    before = snapshot(root)
    with pytest.raises(OSError, match="disk full"):
        push("b", complete=fail)
    assert snapshot(root) == before


def test_version_when_the_clock_runs_then_is_the_time_in_seconds(push, clock):
    clock(1_700_000_000.9)
    assert push("a").folder.name == "1700000000"


@pytest.mark.parametrize("later", [1_000.0, 1_000.5, 900.0, 0.0])
def test_version_when_the_clock_stands_still_or_goes_back_then_still_increases(push, clock, later):
    clock(1_000.0)
    first = push("a")
    clock(later)
    names = [first.folder.name, push("b").folder.name, push("c").folder.name]
    assert names == ["1000", "1001", "1002"]


def test_version_when_another_program_put_a_higher_one_there_then_is_higher_still(push, root):
    (root / "digits" / "99999999999").mkdir(parents=True)
    assert push("a").folder.name == "100000000000"


def test_publish_when_the_newest_version_holds_the_same_model_then_nothing_changes(
    push, root, snapshot
):
    first = push("a")
    before, before_times = snapshot(root), times(root)
    checked = []

    again = push("a", check=checked.append)

    assert (again.folder, again.is_new) == (first.folder, False)
    assert snapshot(root) == before
    assert times(root) == before_times
    assert checked == [], "what is served already was checked when it was pushed"


def test_publish_when_only_an_older_version_holds_the_same_model_then_makes_a_new_one(push, root):
    first, second = push("a"), push("b")
    back = push("a")
    assert back.is_new
    assert int(back.folder.name) > int(second.folder.name) > int(first.folder.name)
    assert newest_version(root / "digits") == back.folder


def test_publish_when_the_newest_version_is_not_ours_then_makes_a_new_one(push, root):
    (root / "digits" / "5").mkdir(parents=True)
    assert push("a").is_new


def test_publish_when_the_same_model_goes_by_another_name_then_both_are_served(push, root):
    one, two = push("a", model_name="one"), push("a", model_name="two")
    assert one.is_new and two.is_new
    served = text_format.Parse(
        (root / "models.config").read_text(), model_server_config_pb2.ModelServerConfig()
    )
    assert {entry.name: entry.base_path for entry in served.model_config_list.config} == {
        "one": str(root / "one"),
        "two": str(root / "two"),
    }


@pytest.mark.parametrize(("keep", "kept"), [(1, 2), (2, 2), (3, 3), (9, 5)])
def test_keep_versions_when_there_are_more_then_the_oldest_that_are_not_served_are_removed(
    push, root, clock, keep, kept
):
    clock(10.0)
    for content in "abcde":
        push(content, ServeConfig(keep_versions=keep))
    assert versions(root / "digits") == [10, 11, 12, 13, 14][-kept:]
    assert newest_version(root / "digits").name == "14"


def test_keep_versions_when_other_folders_lie_there_then_only_numbers_are_versions(push, root):
    for name in ("notes", "1-old", "-1", "1.0"):
        (root / "digits" / name).mkdir(parents=True)
    pushed = [push(content, ServeConfig(keep_versions=1)).folder.name for content in "abc"]
    assert versions(root / "digits") == [int(name) for name in pushed[-2:]]
    assert len(os.listdir(root / "digits")) == 6


def test_versions_when_the_folder_is_missing_or_empty_then_there_are_none(tmp_path):
    assert versions(tmp_path / "missing") == versions(tmp_path) == []
    assert newest_version(tmp_path) is None


@pytest.mark.parametrize("name", ["007", "00", "٣"])
def test_versions_when_a_number_is_written_in_another_way_then_is_not_ours_and_left_alone(
    push, root, name
):
    (root / "digits" / name).mkdir(parents=True)
    pushed = [push(content, ServeConfig(keep_versions=1)).folder.name for content in "abc"]
    assert versions(root / "digits") == [int(name) for name in pushed[-2:]]
    assert sorted(os.listdir(root / "digits")) == sorted([name, *pushed[-2:]])


def test_versions_when_a_file_has_a_number_for_a_name_then_is_none(tmp_path):
    (tmp_path / "5").write_text("not a version")
    assert versions(tmp_path) == []


def test_versions_when_of_different_lengths_then_are_ordered_as_numbers(tmp_path):
    for name in ("10", "9", "100"):
        (tmp_path / name).mkdir()
    assert versions(tmp_path) == [9, 10, 100]
    assert newest_version(tmp_path) == tmp_path / "100"


def test_server_files_when_a_model_is_published_then_tf_serving_finds_it_there(push, root):
    batching = BatchingConfig(max_batch_size=8, allowed_batch_sizes=[4, 8])
    folder = push("a", ServeConfig(batching=batching)).folder
    served = text_format.Parse(
        (root / "models.config").read_text(), model_server_config_pb2.ModelServerConfig()
    )
    (entry,) = served.model_config_list.config
    assert entry.name == "digits"
    assert os.path.isabs(entry.base_path)
    assert os.path.samefile(entry.base_path, folder.parent)
    assert parse_batching((root / "batching.config").read_text()) == batching


def test_version_batching_when_pushed_then_is_in_the_folder_as_soon_as_that_is_visible(
    push, root, tmp_path, write_plain_model, monkeypatch
):
    renamed = []

    def look(staged, folder):
        renamed.append(parse_batching((staged / "batching_params.pbtxt").read_text()))
        os.replace(staged, folder)

    source = write_plain_model(tmp_path / "model-a", "a")
    (source / "batching_params.pbtxt").write_text("max_batch_size { value: 3 }")
    monkeypatch.setattr("serving.versions.os.rename", look)
    batching = BatchingConfig(max_batch_size=8, allowed_batch_sizes=[4, 8])
    push("a", ServeConfig(batching=batching))
    assert renamed == [batching]


def test_version_batching_when_only_that_changes_then_the_same_version_has_it(push):
    folder = push("a").folder
    again = push("a", ServeConfig(batching=BatchingConfig(max_batch_size=7)))
    assert (again.folder, again.is_new) == (folder, False)
    assert parse_batching((folder / "batching_params.pbtxt").read_text()).max_batch_size == 7
    assert not list(folder.glob(".*"))


def test_monitoring_when_published_then_metrics_are_where_tf_serving_has_them(push, root):
    push("a")
    monitoring = parse_monitoring((root / "monitoring.config").read_text())
    assert (monitoring.is_enabled, monitoring.path) == (True, "/monitoring/prometheus/metrics")


def test_server_files_when_the_root_is_relative_then_the_base_path_is_absolute(
    tmp_path, write_plain_model, monkeypatch
):
    from pathlib import Path

    source = write_plain_model(tmp_path / "model", "a")
    monkeypatch.chdir(tmp_path)
    publish(source, Path("relative"), "digits", KEEP_ALL, {}, accept)
    text = (tmp_path / "relative" / "models.config").read_text()
    assert f'base_path: "{tmp_path / "relative" / "digits"}"' in text


def test_server_files_when_they_do_not_change_then_are_not_written_again(push, root):
    push("a")
    before = {}
    for name in ("monitoring.config", "batching.config"):
        os.utime(root / name, ns=(1, 1))
        before[name] = (root / name).stat().st_ino
    push("b")
    for name, inode in before.items():
        assert (root / name).stat().st_mtime_ns == 1
        assert (root / name).stat().st_ino == inode


def test_server_files_when_only_batching_changes_then_only_that_file_is_written(push, root):
    push("a")
    for name in ("models.config", "batching.config"):
        os.utime(root / name, ns=(1, 1))
    again = push("a", ServeConfig(batching=BatchingConfig(max_batch_size=7)))
    assert not again.is_new
    assert (root / "models.config").stat().st_mtime_ns == 1
    assert parse_batching((root / "batching.config").read_text()).max_batch_size == 7


def test_content_digest_when_a_file_is_large_then_never_held_whole(tmp_path):
    with (tmp_path / "variables").open("wb") as file:
        file.truncate(2**26)
    tracemalloc.start()
    try:
        found = content_digest(tmp_path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    whole = hashlib.sha256(bytes(2**26)).digest()
    assert found == hashlib.sha256(b"variables\0" + whole).hexdigest()
    assert peak < 2**24


def test_content_digest_when_a_name_or_a_byte_differs_then_differs(tmp_path, write_plain_model):
    base = content_digest(write_plain_model(tmp_path / "a", "x"))
    assert content_digest(write_plain_model(tmp_path / "same", "x")) == base
    other_byte = write_plain_model(tmp_path / "b", "x")
    (other_byte / "saved_model.pb").write_text("graph y")
    other_name = write_plain_model(tmp_path / "c", "x")
    (other_name / "saved_model.pb").rename(other_name / "saved_model.pbtxt")
    other_folder = write_plain_model(tmp_path / "d", "x")
    (other_folder / "variables").rename(other_folder / "weights")
    digests = {base, *map(content_digest, (other_byte, other_name, other_folder))}
    assert len(digests) == 4


@pytest.mark.parametrize("content", [None, b"", b"[]", b"{", b"\xff\xfe"])
def test_manifest_when_there_is_none_to_read_then_is_empty(tmp_path, content) -> None:
    (tmp_path / "assets.extra").mkdir()
    if content is not None:
        (tmp_path / MANIFEST).write_bytes(content)
    assert read_manifest(tmp_path) == {}
