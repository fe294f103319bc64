"""The input of the loops that bring none of their own: the in-memory pipeline of the tutorials.

Of the pipelines tried on these rows (batches in parallel, shuffled indices with one gather a
batch, permutations drawn in TensorFlow) none is faster beyond noise than slices, shuffled over
all rows and prefetched.
"""

from __future__ import annotations

from benchmarks.loop import models

import tensorflow as tf  # isort: skip


def batches(batch_size: int) -> tf.data.Dataset:
    """Returns endless batches of images [b, 8, 8, 1] and classes [b]."""
    images, classes = models.rows()
    return (
        tf.data.Dataset.from_tensor_slices((images, classes))
        .shuffle(len(images), seed=0)
        .repeat()
        .batch(batch_size, drop_remainder=True)
        .prefetch(tf.data.AUTOTUNE)
    )
