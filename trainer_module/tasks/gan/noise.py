"""The generator's noise: drawn anew in training, a function of a seed everywhere else."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tf_keras as keras

from trainer_module.tasks.digits.features import LARGEST_PIXEL, SIDE


class Noise(keras.__internal__.layers.BaseRandomLayer):
    """Standard normal noise, one vector a row.

    In training it comes from the layer's random generator, whose state a checkpoint holds. Else
    it is a function of the row's seed alone: a sample is the same in every batch, on every device
    and in the served model.

    Args:
        size: of a vector.
    """

    def __init__(self, size: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self._size = size

    def call(self, seeds: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns noise [b, size], float32, for seeds [b] int64."""
        if training:
            return self._random_generator.random_normal(
                [tf.shape(seeds)[0], self._size], dtype=tf.float32
            )
        return tf.map_fn(self._of_seed, seeds, fn_output_signature=tf.float32)

    def uniform(self, rows: tf.Tensor) -> tf.Tensor:
        """Draws numbers in [0, 1), [rows] float32, from the same generator."""
        return self._random_generator.random_uniform([rows], dtype=tf.float32)

    def _of_seed(self, seed: tf.Tensor) -> tf.Tensor:
        # By name: what `auto` chooses differs between devices.
        return tf.random.stateless_normal([self._size], tf.stack([seed, 0]), alg="philox")


class ImageSeed(keras.layers.Layer):
    """A seed of each image, by its pixels: [b, 8, 8, 1] in 0 to 1 -> [b] int64.

    It pairs every row of an evaluation with a sample of its own. A sum of the pixels, as whole
    numbers, times fixed random numbers of 64 bits; it wraps around.
    """

    def call(self, image: tf.Tensor) -> tf.Tensor:
        pixels = tf.cast(tf.round(tf.cast(image, tf.float32) * LARGEST_PIXEL), tf.int64)
        factors = np.random.default_rng(0).integers(-(2**63), 2**63, SIDE * SIDE, dtype=np.int64)
        return tf.reduce_sum(tf.reshape(pixels, [-1, SIDE * SIDE]) * factors, axis=1)
