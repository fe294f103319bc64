"""A split held in memory: a batch is one gather, an epoch a true permutation of all rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from trainer_module.data.arrays import Arrays, row_count
from trainer_module.data.draws import augment_steps
from trainer_module.data.pace import parallel, row_bytes, run_ahead
from trainer_module.data.split import WEIGHT, Plan, Share, Split, Tensors


class MemorySplit(Split):
    """Arrays as `read_examples` returns them."""

    def __init__(self, arrays: Arrays) -> None:
        self._tensors: Mapping[str, tf.Tensor] = {
            name: tf.constant(values) for name, values in arrays.items()
        }
        self.rows = row_count(arrays)

    def head(self, count: int) -> Arrays:
        chosen = self._gather(tf.range(min(count, self.rows), dtype=tf.int64))
        return {name: values.numpy() for name, values in chosen.items()}

    def training(self, plan: Plan, share: Share) -> tf.data.Dataset:
        steps_per_epoch = self.rows // plan.batch_size
        part = plan.batch_size // share.replicas
        starts = tf.constant(np.repeat([call.start for call in plan.calls], share.count), tf.int64)

        @tf.autograph.experimental.do_not_convert
        def call_batches(element: tf.Tensor) -> Tensors:
            replica = share.first + element % share.count
            steps = tf.gather(starts, element) + tf.range(plan.steps_per_call, dtype=tf.int64)
            # A call stays in its epoch: what lies beyond is never read.
            epoch = steps[0] // steps_per_epoch
            first = steps % steps_per_epoch * plan.batch_size + replica * part
            position = first[:, tf.newaxis] + tf.range(part, dtype=tf.int64)
            chosen = self._shuffled(tf.reshape(position, [-1]), plan.seed, epoch)
            rows = augment_steps(self._gather(chosen), steps, replica, plan, share)
            return {
                name: tf.reshape(values, [plan.steps_per_call, part, *values.shape[1:]])
                for name, values in rows.items()
            }

        # An augmentation costs about ten times the gather, which leaves the cores to the step.
        row = {name: tf.TensorSpec(t.shape[1:], t.dtype) for name, t in self._tensors.items()}
        size = plan.steps_per_call * part * row_bytes(row)
        side_by_side = 1 if plan.augment is None else parallel(size)
        elements = tf.data.Dataset.range(len(plan.calls) * share.count)
        made = elements.map(call_batches, side_by_side, deterministic=True)
        return run_ahead(made, 2 * share.count)

    def evaluation(self, batch_size: int, share: Share) -> tf.data.Dataset:
        part = batch_size // share.replicas
        batches = -(-self.rows // batch_size)

        @tf.autograph.experimental.do_not_convert
        def batch(element: tf.Tensor) -> Tensors:
            number, replica = element // share.count, share.first + element % share.count
            index = number * batch_size + replica * part + tf.range(part, dtype=tf.int64)
            real = index < self.rows
            rows = self._gather(tf.where(real, index, 0))
            return {**rows, WEIGHT: tf.cast(real, tf.float32)}

        return run_ahead(tf.data.Dataset.range(batches * share.count).map(batch), 2 * share.count)

    def _shuffled(self, position: tf.Tensor, seed: int, epoch: tf.Tensor) -> tf.Tensor:
        """Returns which rows are at these positions of an epoch, [len(position)] int64."""
        return tf.random.experimental.index_shuffle(
            position,
            seed=tf.stack([tf.cast(seed, tf.int64), epoch]),
            max_index=tf.constant(self.rows - 1, tf.int64),
        )

    def _gather(self, index: tf.Tensor) -> Tensors:
        """Returns the rows at these places of the canonical order, [len(index), *shape] each."""
        return {name: tf.gather(values, index) for name, values in self._tensors.items()}
