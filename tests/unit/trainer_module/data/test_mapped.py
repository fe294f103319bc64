"""A split in mapped files: as from memory, written once, whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.data import mapped  # isort: skip

DIES_BEFORE_THE_RENAME = """
import os, signal, sys
import trainer_module
from trainer_module.data import mapped
import tensorflow as tf
mapped.os.rename = lambda *_names: os.kill(os.getpid(), signal.SIGKILL)
spec = {
    "id": tf.io.FixedLenFeature([], tf.int64),
    "image": tf.io.FixedLenFeature([4, 4, 2], tf.float32),
}
mapped.MappedSplit([sys.argv[1]], spec, sys.argv[2])
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def writes(monkeypatch) -> list[Path]:
    """Where arrays are written from here on."""
    write, seen = mapped._write, []

    def record(files, spec, whole):
        seen.append(whole)
        write(files, spec, whole)

    monkeypatch.setattr(mapped, "_write", record)
    return seen


def test_mapped_split_when_trained_from_then_gives_what_memory_gives(
    opened, numbered, train_steps, eval_rows
):
    patterns = numbered(26)
    split, memory = opened(patterns, "file"), opened(patterns, "memory")
    found, expected = (train_steps(one, 8, batch_size=6) for one in (split, memory))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one["id"], other["id"])
        np.testing.assert_array_equal(one["image"], other["image"])
    np.testing.assert_array_equal(eval_rows(split, 8)["id"], eval_rows(memory, 8)["id"])


def test_mapped_split_when_opened_again_then_writes_nothing(opened, numbered, writes):
    patterns = numbered(26)
    first, again = opened(patterns, "file"), opened(patterns, "file")
    assert len(writes) == 1
    assert first.rows == again.rows
    np.testing.assert_array_equal(first.head(26)["image"], again.head(26)["image"])


def test_mapped_split_when_a_file_or_the_features_change_then_writes_anew(
    opened, numbered, numbered_spec, writes
):
    patterns = numbered(26)
    opened(patterns, "file")
    first, second = sorted(Path(patterns[0]).parent.iterdir())[:2]
    time = first.stat().st_mtime_ns
    first.write_bytes(second.read_bytes())
    os.utime(first, ns=(time, time))
    assert sorted(set(opened(patterns, "file").head(26)["id"] % 3)) == [1, 2]
    assert list(opened(patterns, "file", spec={"id": numbered_spec["id"]}).head(1)) == ["id"]
    assert len(set(writes)) == 3


def test_mapped_split_when_two_splits_share_a_folder_then_each_has_its_rows(opened, numbered):
    train, evaluation = numbered(20, name="train"), numbered(7, name="eval")
    for _ in range(2):
        assert opened(train, "file").rows == 20
        assert opened(evaluation, "file").rows == 7


def test_mapped_split_when_several_open_it_at_once_then_one_writes(
    opened, numbered, writes, monkeypatch
):
    patterns = numbered(26)
    with ThreadPoolExecutor(4) as pool:
        splits = list(pool.map(lambda _: opened(patterns, "file"), range(4)))
    assert len(writes) == 1
    assert {split.rows for split in splits} == {26}
    assert len({split.head(26)["image"].tobytes() for split in splits}) == 1


def test_mapped_split_when_its_writer_was_killed_then_is_written_whole(
    opened, numbered, folder, images
):
    patterns = numbered(26)
    killed = subprocess.run(
        [sys.executable, "-c", DIES_BEFORE_THE_RENAME, patterns[0], str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert list(folder.glob("*.part/summary.json")), "it died with everything written"
    head = opened(patterns, "file").head(26)
    assert sorted(head["id"]) == list(range(26))
    np.testing.assert_array_equal(head["image"], images(head["id"]))
    assert not list(folder.glob("*.part"))


@pytest.mark.parametrize("damage", ["cut", "missing", "no summary"])
def test_mapped_split_when_its_files_are_damaged_then_writes_them_anew(
    damage, opened, numbered, writes, images
):
    patterns = numbered(26)
    opened(patterns, "file")
    array = writes[0] / "1.bin"
    if damage == "cut":
        os.truncate(array, array.stat().st_size // 2)
    elif damage == "missing":
        array.unlink()
    else:
        (writes[0] / "summary.json").unlink()
    head = opened(patterns, "file").head(26)
    assert len(writes) == 2
    np.testing.assert_array_equal(head["image"], images(head["id"]))


def test_mapped_split_when_a_feature_is_text_then_names_it(opened, numbered, numbered_spec):
    numbered_spec["text"] = tf.io.FixedLenFeature([], tf.string, default_value="")
    with pytest.raises(ValueError, match=r"cache: found 'file' with text in .* 'text'"):
        opened(numbered(3), "file", spec=numbered_spec)
