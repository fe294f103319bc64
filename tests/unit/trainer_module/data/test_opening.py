"""Which split `cache: auto` opens."""

from __future__ import annotations

import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.config.input import InputConfig  # isort: skip
from trainer_module.data import open_split, opening  # isort: skip
from trainer_module.data.mapped import MappedSplit  # isort: skip
from trainer_module.data.memory import MemorySplit  # isort: skip
from trainer_module.data.pace import row_bytes  # isort: skip

ROWS = 7


@pytest.fixture
def patterns(numbered):
    return numbered(ROWS)


@pytest.mark.parametrize(("more", "kind"), [(1, MemorySplit), (0, MappedSplit)])
def test_open_split_when_auto_then_the_bytes_of_the_rows_decide(
    more, kind, patterns, numbered_spec, opened, monkeypatch
):
    monkeypatch.setattr(opening, "MEMORY_BYTES", ROWS * row_bytes(numbered_spec) + more)
    assert type(opened(patterns, "auto")) is kind


def test_open_split_when_auto_then_the_batches_are_the_same_from_either(
    patterns, opened, train_steps, monkeypatch
):
    in_memory = train_steps(opened(patterns, "auto"), total=6, batch_size=3)
    monkeypatch.setattr(opening, "MEMORY_BYTES", 0)
    in_files = train_steps(opened(patterns, "auto"), total=6, batch_size=3)
    for one, other in zip(in_memory, in_files, strict=True):
        assert one.keys() == other.keys()
        assert all((one[name] == other[name]).all() for name in one)


@pytest.mark.parametrize("why", ["text", "strategy"])
def test_open_split_when_the_rows_cannot_be_in_files_then_auto_keeps_them_in_memory(
    why, patterns, numbered_spec, tmp_path, write, monkeypatch
):
    monkeypatch.setattr(opening, "MEMORY_BYTES", 0)
    spec = dict(numbered_spec)
    if why == "text":
        example = tf.train.Example()
        example.features.feature["word"].bytes_list.value.append(b"a")
        patterns = [write("words", [example.SerializeToString()], 1)]
        spec = {"word": tf.io.FixedLenFeature([], tf.string)}
    split = open_split(patterns, spec, InputConfig(), str(tmp_path), can_map=why == "text")
    assert type(split) is MemorySplit
