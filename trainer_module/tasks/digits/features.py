"""What Transform makes of a raw digit: the scaled image, its class, and two attributes of it."""

from __future__ import annotations

import tensorflow as tf

from trainer_module.preprocessing import z_score

IMAGE = "image"
CLASS = "class"
ATTRIBUTE = "attribute"
ATTRIBUTE_NAMES = ("stroke mass", "slant")

SIDE = 8
LARGEST_PIXEL = 16.0


def preprocessing_fn(inputs: dict[str, tf.Tensor], label: str) -> dict[str, tf.Tensor]:
    """Returns the features of a digit.

    Args:
        inputs: `image`, [b, 64], pixels 0 to 16 row by row; and the label, [b, 1].

    Returns:
        image: [b, 8, 8, 1] float32 in 0 to 1.
        class: [b] int64.
        attribute: [b, 2] float32, stroke mass and slant, in standard deviations from the
            training mean.
    """
    image = tf.reshape(tf.cast(inputs["image"], tf.float32), [-1, SIDE, SIDE]) / LARGEST_PIXEL
    return {
        IMAGE: image[..., tf.newaxis],
        CLASS: tf.reshape(inputs[label], [-1]),
        ATTRIBUTE: z_score(tf.stack([_stroke_mass(image), _slant(image)], axis=1)),
    }


def _stroke_mass(image: tf.Tensor) -> tf.Tensor:
    """Returns the mean ink of each image, [b]."""
    return tf.reduce_mean(image, axis=[1, 2])


def _slant(image: tf.Tensor) -> tf.Tensor:
    """Returns the shear of each image's ink, [b]: columns to the right for each row up.

    The ratio of second central moments that deskewing of handwriting uses, mu11 / mu02, with the
    sign turned so that a stroke that leans to the right is positive. An empty image has slant 0.
    """
    rows = tf.range(SIDE, dtype=tf.float32)[tf.newaxis, :, tf.newaxis]
    columns = tf.range(SIDE, dtype=tf.float32)[tf.newaxis, tf.newaxis, :]
    ink = tf.reduce_sum(image, axis=[1, 2], keepdims=True)

    def mean(values: tf.Tensor) -> tf.Tensor:
        total = tf.reduce_sum(values * image, axis=[1, 2], keepdims=True)
        return tf.math.divide_no_nan(total, ink)

    above = mean(rows) - rows
    right = columns - mean(columns)
    return tf.reshape(tf.math.divide_no_nan(mean(above * right), mean(above**2)), [-1])
