"""The picture of many samples."""

from __future__ import annotations

import numpy as np

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.tasks.gan.samples import make_grid  # isort: skip


def test_make_grid_when_one_image_is_ink_then_its_tile_alone_is_dark():
    images = np.zeros([6, 8, 8, 1], np.float32)
    images[4] = 1.0
    picture = make_grid(tf.constant(images), columns=3, scale=2).numpy()
    assert picture.dtype == np.uint8
    assert picture.shape == (2 * 20, 3 * 20, 1)
    dark = np.zeros_like(picture, dtype=bool)
    dark[22:38, 22:38] = True
    np.testing.assert_array_equal(picture == 0, dark)
    np.testing.assert_array_equal(picture == 255, ~dark)
