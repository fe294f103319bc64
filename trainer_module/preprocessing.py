"""The one `preprocessing_fn` that Transform is given, and the analyzers that tasks share."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from trainer_module.tasks import load_task_class


def preprocessing_fn(
    inputs: dict[str, tf.Tensor], custom_config: dict[str, Any]
) -> dict[str, tf.Tensor]:
    """Calls the task's own function with the label's name and the options of `transform`."""
    task_class = load_task_class(custom_config["task"])
    return task_class.preprocessing_fn(
        inputs, label=custom_config["label"], **custom_config["options"]
    )


def z_score(x: tf.Tensor) -> tf.Tensor:
    """Returns x with each column's mean 0 and standard deviation 1 over the training split.

    Beam merges accumulators in an order that varies. Accumulated in float64 and rounded to
    float32 once, the mean and the variance come out the same bits in every run, which
    `tft.scale_to_z_score` does not give. A constant column becomes 0.

    Args:
        x: [b, d], any numeric type.

    Returns:
        [b, d], float32.
    """
    wide = tf.cast(x, tf.float64)
    mean = tf.cast(tft.mean(wide, reduce_instance_dims=False), tf.float32)
    variance = tf.cast(tft.var(wide, reduce_instance_dims=False), tf.float32)
    deviation = tf.sqrt(variance)
    return tf.math.divide_no_nan(tf.cast(x, tf.float32) - mean, deviation)
