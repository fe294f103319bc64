"""Grids of samples: pictures of what the generator has learned, epoch by epoch."""

from __future__ import annotations

import os

import tensorflow as tf

from trainer_module.callbacks.base import Callback, Training, Values
from trainer_module.tasks.base import SAMPLES
from trainer_module.tasks.gan.model import generate

COLUMNS, ROWS = 12, 8
SCALE = 6
"""Pixels of the picture to a pixel of a digit, along a side."""


def make_grid(images: tf.Tensor, columns: int, scale: int) -> tf.Tensor:
    """Returns one picture of many: ink is dark, as on paper.

    Args:
        images: [n, height, width, 1] float32, 0 to 1; n is a multiple of `columns`.

    Returns:
        [n / columns * tile, columns * tile, 1] uint8, tiles of `scale` times an image with a
        margin of `scale` around it.
    """
    height, width = images.shape[1] * scale, images.shape[2] * scale
    tiles = tf.image.resize(images, [height, width], method="bicubic")
    tiles = tf.pad(tiles, [[0, 0], [scale, scale], [scale, scale], [0, 0]])
    rows = tf.reshape(tiles, [-1, columns, *tiles.shape[1:]])
    picture = tf.reshape(tf.transpose(rows, [0, 2, 1, 3, 4]), [-1, columns * tiles.shape[2], 1])
    return tf.image.convert_image_dtype(1.0 - tf.clip_by_value(picture, 0.0, 1.0), tf.uint8)


class SampleGrid(Callback):
    """Writes samples of the same seeds as `samples/epoch-0001.png`, and to TensorBoard.

    Those of the averaged weights, where an average is kept: what would be exported.

    Args:
        folder: of the training.
        every: epochs; the first and the last epoch are always written.
    """

    chief_only = True

    def __init__(self, folder: str, every: int) -> None:
        self._folder = folder
        self._every = every

    def on_train_begin(self, training: Training) -> None:
        self._training = training
        # A function: the noise is a loop over the rows, slow outside of one.
        self._generate = tf.function(generate, autograph=False)
        self._writer = tf.summary.create_file_writer(
            os.path.join(self._folder, "tensorboard", SAMPLES)
        )

    def on_epoch_end(self, epoch: int, step: int, train: Values, evaluation: Values) -> None:
        is_last = step == self._training.total_steps or self._training.stopped
        if not (epoch % self._every == 0 or epoch == 1 or is_last):
            return
        state = self._training.state
        if state.average is not None:
            state.average.swap()
        images = self._generate(state.model, tf.range(ROWS * COLUMNS, dtype=tf.int64))
        if state.average is not None:
            state.average.swap()
        picture = make_grid(images, COLUMNS, SCALE)
        path = os.path.join(self._folder, SAMPLES, f"epoch-{epoch:04d}.png")
        tf.io.write_file(path, tf.io.encode_png(picture))
        with self._writer.as_default(step):
            tf.summary.image(SAMPLES, picture[tf.newaxis])
        self._writer.flush()

    def on_train_end(self, step: int) -> None:
        self._writer.close()
