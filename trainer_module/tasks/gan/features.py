"""What Transform makes of a raw digit for the players: the scaled image, and its class."""

from __future__ import annotations

import tensorflow as tf

from trainer_module.tasks.digits.features import LARGEST_PIXEL, SIDE

IMAGE = "image"
CLASS = "class"


def preprocessing_fn(inputs: dict[str, tf.Tensor], label: str) -> dict[str, tf.Tensor]:
    """Returns the features of a digit.

    Args:
        inputs: `image`, [b, 64], pixels 0 to 16 row by row; and the label, [b, 1].

    Returns:
        image: [b, 8, 8, 1] float32 in 0 to 1.
        class: [b] int64; no player sees it.
    """
    image = tf.reshape(tf.cast(inputs["image"], tf.float32), [-1, SIDE, SIDE, 1])
    return {IMAGE: image / LARGEST_PIXEL, CLASS: tf.reshape(inputs[label], [-1])}
