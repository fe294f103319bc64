"""A split that is streamed: its order, its survey, and what it refuses."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.data import Call, Plan, Share, survey  # isort: skip


@pytest.fixture
def passes(monkeypatch) -> list[int]:
    """Grows by one with every pass over the files."""
    read, seen = survey.parsed_batches, []

    def record(files, spec):
        seen.append(len(files))
        return read(files, spec)

    monkeypatch.setattr(survey, "parsed_batches", record)
    return seen


def test_stream_split_when_the_process_has_another_seed_then_the_order_stays(
    opened, numbered, train_steps
):
    split = opened(numbered(24), "none")
    orders = []
    for seed in (0, 1):
        tf.random.set_seed(seed)
        orders.append([step["id"].tolist() for step in train_steps(split, 8, batch_size=6)])
    assert orders[0] == orders[1]


def test_stream_split_when_the_buffer_is_one_row_then_files_alone_are_shuffled(
    opened, numbered, train_steps
):
    split = opened(numbered(24), "none", shuffle_buffer=1, parallel_reads=1)
    steps = train_steps(split, 12, batch_size=8)
    files = [[int(step["id"][0]) for step in steps[epoch : epoch + 3]] for epoch in (0, 3, 6, 9)]
    assert all(sorted(first) == [0, 1, 2] for first in files)
    assert len({tuple(first) for first in files}) > 1
    for step in steps:
        np.testing.assert_array_equal(np.diff(step["id"]), 3)


def test_stream_split_when_files_are_read_in_turn_then_a_buffer_of_one_row_mixes_them(
    opened, numbered, train_steps
):
    split = opened(numbered(96), "none", shuffle_buffer=1, parallel_reads=3)
    first = train_steps(split, 1, batch_size=48)[0]["id"]
    assert set(first % 3) == {0, 1, 2}


def test_stream_split_when_opened_again_then_does_not_pass_over_the_files(opened, numbered, passes):
    patterns = numbered(24)
    first, again = opened(patterns, "none"), opened(patterns, "none")
    assert len(passes) == 1
    assert first.rows == again.rows


def test_stream_split_when_a_file_has_changed_then_passes_over_them_again(opened, numbered, passes):
    patterns = numbered(24)
    opened(patterns, "none")
    path = Path(patterns[0]).parent / "data-00001.gz"
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 2_000_000_000))
    opened(patterns, "none")
    assert len(passes) == 2


def test_stream_split_when_there_are_no_calls_then_gives_nothing(opened, numbered):
    split = opened(numbered(24), "none")
    assert list(split.training(Plan([], 3, 6, seed=0), Share())) == []


def test_stream_split_when_calls_do_not_follow_one_another_then_refuses(opened, numbered):
    split = opened(numbered(24), "none")
    with pytest.raises(ValueError, match=r"calls: found .*follow one another"):
        split.training(Plan([Call(0, 2), Call(3, 1)], 2, 6, seed=0), Share())
