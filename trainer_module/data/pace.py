"""How far and how fast an input pipeline runs ahead of the loop."""

from __future__ import annotations

import os

import tensorflow as tf

PARALLEL = min(os.cpu_count() or 1, 16)
"""Elements that are made side by side, where making one takes long; each takes its memory."""


def run_ahead(dataset: tf.data.Dataset, elements: int) -> tf.data.Dataset:
    """Keeps some elements ready, with the parallelism that was written down.

    The tuner that tf.data would start has a thread that can sleep through the end of its iterator,
    for ten seconds and more, and the loop would wait for it: at each change of the call's length,
    and when it is asked to leave.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.prefetch(elements).with_options(options)
