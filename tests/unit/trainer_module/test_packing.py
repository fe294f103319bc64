"""Small tensors as one vector and back."""

from __future__ import annotations

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.packing import LARGE, Packing  # isort: skip

SHAPES = {
    "mixed": [[2, 3], [LARGE], [], [4], [LARGE // 2, 3]],
    "small alone": [[2, 3], [LARGE - 1], []],
    "large alone": [[LARGE], [2, LARGE]],
}


@pytest.fixture(params=SHAPES.values(), ids=SHAPES.keys())
def tensors(request: pytest.FixtureRequest) -> list[tf.Tensor]:
    rng = np.random.default_rng(0)
    return [tf.constant(rng.normal(size=shape), tf.float32) for shape in request.param]


def test_packing_when_unpacked_then_gives_back_what_was_packed(tensors):
    packing = Packing(tensors)
    for found, expected in zip(packing.unpack(packing.pack(tensors)), tensors, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_packing_when_packed_then_small_tensors_are_one_vector_before_the_large_ones(tensors):
    packing = Packing(tensors)
    small = [t for t in tensors if tf.size(t) < LARGE]
    large = [t for t in tensors if tf.size(t) >= LARGE]
    expected = [np.concatenate([np.ravel(t) for t in small])] if small else []
    for found, value in zip(packing.pack(tensors), [*expected, *large], strict=True):
        np.testing.assert_array_equal(found, value)
    assert packing.width == sum(int(tf.size(t)) for t in small)
