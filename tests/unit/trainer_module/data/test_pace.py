"""How many elements of an input pipeline are made side by side: by cores and by memory."""

from __future__ import annotations

import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.data import pace  # isort: skip

MIB = 2**20


@pytest.mark.parametrize(
    ("cores", "element_bytes", "expected"),
    [(4, 1000, 4), (64, 1000, 16), (64, 100 * MIB, 2), (64, 1000 * MIB, 1), (None, 0, 1)],
)
def test_parallel_when_elements_are_large_then_their_memory_is_the_bound(
    monkeypatch, cores, element_bytes, expected
):
    monkeypatch.setattr(pace.os, "cpu_count", lambda: cores)
    assert pace.parallel(element_bytes) == expected


def test_row_bytes_when_features_are_of_several_types_then_adds_them_up():
    spec = {
        "image": tf.io.FixedLenFeature([4, 4, 3], tf.float32),
        "class": tf.io.FixedLenFeature([], tf.int64),
    }
    assert pace.row_bytes(spec) == 4 * 4 * 3 * 4 + 8
