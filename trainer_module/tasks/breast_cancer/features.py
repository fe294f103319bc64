"""What Transform makes of a tumour: its measurements as one z-scored vector, and its class."""

from __future__ import annotations

import tensorflow as tf

from trainer_module.preprocessing import z_score

MEASUREMENTS = "measurements"
DIAGNOSIS = "diagnosis"


def preprocessing_fn(inputs: dict[str, tf.Tensor], label: str) -> dict[str, tf.Tensor]:
    """Returns the features of a tumour.

    Args:
        inputs: the measurements, [b, 1] each, and the label, [b, 1].

    Returns:
        measurements: [b, 30] float32, in the order of their names, z-scored.
        diagnosis: [b] int64.
    """
    columns = [tf.reshape(inputs[name], [-1]) for name in sorted(inputs) if name != label]
    return {
        MEASUREMENTS: z_score(tf.stack(columns, axis=1)),
        DIAGNOSIS: tf.reshape(inputs[label], [-1]),
    }
