"""A split held in memory: a batch is one gather, an epoch a true permutation of all rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from trainer_module.data.arrays import Arrays, fingerprint, row_count
from trainer_module.data.split import WEIGHT, Augment, Call, Share, Split, Tensors


class MemorySplit(Split):
    """Arrays as `read_examples` returns them."""

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays
        self.rows = row_count(arrays)

    def head(self, count: int) -> Arrays:
        return {name: values[:count] for name, values in self._arrays.items()}

    def fingerprint(self) -> str:
        return fingerprint(self._arrays)

    def training(
        self,
        calls: Sequence[Call],
        steps_per_call: int,
        batch_size: int,
        share: Share,
        seed: int,
        augment: Augment | None = None,
    ) -> tf.data.Dataset:
        steps_per_epoch = self.rows // batch_size
        part = batch_size // share.replicas
        tensors = self._tensors()
        starts = tf.constant(np.repeat([call.start for call in calls], share.count), tf.int64)

        def call_batches(element: tf.Tensor) -> Tensors:
            replica = share.first + element % share.count
            steps = tf.gather(starts, element) + tf.range(steps_per_call, dtype=tf.int64)
            # A call stays in its epoch: what lies beyond is never read.
            epoch = steps[0] // steps_per_epoch
            first = steps % steps_per_epoch * batch_size + replica * part
            position = first[:, tf.newaxis] + tf.range(part, dtype=tf.int64)
            chosen = tf.random.experimental.index_shuffle(
                tf.reshape(position, [-1]),
                seed=tf.stack([tf.cast(seed, tf.int64), epoch]),
                max_index=tf.constant(self.rows - 1, tf.int64),
            )
            rows = {name: tf.gather(values, chosen) for name, values in tensors.items()}
            return {
                name: tf.reshape(values, [steps_per_call, part, *values.shape[1:]])
                for name, values in rows.items()
            }

        elements = tf.data.Dataset.range(len(calls) * share.count)
        return elements.map(call_batches, num_parallel_calls=1, deterministic=True).prefetch(
            2 * share.count
        )

    def evaluation(self, batch_size: int, share: Share) -> tf.data.Dataset:
        part = batch_size // share.replicas
        batches = -(-self.rows // batch_size)
        tensors = self._tensors()

        def batch(element: tf.Tensor) -> Tensors:
            number, replica = element // share.count, share.first + element % share.count
            index = number * batch_size + replica * part + tf.range(part, dtype=tf.int64)
            real = index < self.rows
            index = tf.where(real, index, 0)
            rows = {name: tf.gather(values, index) for name, values in tensors.items()}
            return {**rows, WEIGHT: tf.cast(real, tf.float32)}

        return tf.data.Dataset.range(batches * share.count).map(batch).prefetch(2 * share.count)

    def _tensors(self) -> Tensors:
        # Outside of any graph: a dataset that another machine builds takes them as arguments
        # rather than as constants, of which a graph may hold 2 GB.
        with tf.init_scope():
            return {name: tf.constant(values) for name, values in self._arrays.items()}
