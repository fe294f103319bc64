"""How far and how fast an input pipeline runs ahead of the loop."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

_MOST = 16
_BYTES = 256 * 2**20


def parallel(element_bytes: int) -> int:
    """Returns how many elements to make side by side, where making one takes long.

    As many as there are cores, as far as all of them together take a quarter of a GiB.
    """
    return max(1, min(os.cpu_count() or 1, _MOST, _BYTES // max(1, element_bytes)))


def row_bytes(feature_spec: Mapping[str, Any]) -> int:
    """Returns the bytes of a row of these features, of fixed length; a text counts as a pointer."""
    return sum(
        math.prod(feature.shape) * (feature.dtype.size or 8) for feature in feature_spec.values()
    )


def run_ahead(dataset: tf.data.Dataset, elements: int) -> tf.data.Dataset:
    """Keeps some elements ready, with the parallelism that its maps ask for.

    The tuner that tf.data would start has a thread that can sleep through the end of its iterator,
    for ten seconds and more, and who drops the iterator waits for it.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.prefetch(elements).with_options(options)
