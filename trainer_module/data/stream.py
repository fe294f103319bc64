"""A split that is read from its TFRecords in every epoch: for data that nothing else can hold.

An epoch's order is that of its files, drawn from (seed, epoch), read several at a time in turn,
through a buffer from which the next row is drawn. Every worker reads all records, in the same
order, but parses and augments only its own part of each batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from trainer_module.data.arrays import Arrays
from trainer_module.data.draws import augment_steps
from trainer_module.data.pace import parallel, row_bytes, run_ahead
from trainer_module.data.records import COMPRESSION, check_fixed_length, match_files
from trainer_module.data.split import WEIGHT, Plan, Share, Split, Tensors
from trainer_module.data.survey import survey

SHUFFLE_BUFFER = 10_000
PARALLEL_READS = 4

_BLOCK = 16


class StreamSplit(Split):
    """GZIP TFRecords of tf.Example.

    The order depends on `shuffle_buffer` and `parallel_reads` besides the seed, and rows of a
    file that are further apart than the buffer is long keep their distance: write rows in an order
    that means nothing, as TFX does.
    """

    def __init__(
        self,
        file_patterns: Sequence[str],
        feature_spec: Mapping[str, Any],
        folder: str | None = None,
        shuffle_buffer: int = SHUFFLE_BUFFER,
        parallel_reads: int = PARALLEL_READS,
    ) -> None:
        """Counts the rows, in one pass over the files or as the folder knows them from before.

        Raises:
            ValueError: if a feature is not of fixed length, a file is damaged, or there are no
                rows.
        """
        check_fixed_length(feature_spec)
        self._files = match_files(file_patterns)
        self._spec = dict(feature_spec)
        self._shuffle_buffer = shuffle_buffer
        self._parallel_reads = parallel_reads
        self.rows, _ = survey(self._files, feature_spec, folder)
        if not self.rows:
            raise ValueError(f"no rows in {list(file_patterns)}")

    def head(self, count: int) -> Arrays:
        records = next(iter(self._records(tf.constant(self._files)).batch(count)))
        return {name: values.numpy() for name, values in self._parse(records).items()}

    def training(self, plan: Plan, share: Share) -> tf.data.Dataset:
        part = plan.batch_size // share.replicas

        @tf.autograph.experimental.do_not_convert
        def call_batches(records: tf.Tensor, steps: tf.Tensor, replica: tf.Tensor) -> Tensors:
            rows = augment_steps(self._parse(records), steps, replica, plan, share)
            return {
                name: tf.reshape(values, [plan.steps_per_call, part, *values.shape[1:]])
                for name, values in rows.items()
            }

        @tf.autograph.experimental.do_not_convert
        def replicas(records: tf.Tensor, steps: tf.Tensor) -> tf.data.Dataset:
            own = tf.range(share.first, share.first + share.count, dtype=tf.int64)
            return tf.data.Dataset.from_tensor_slices(
                (_divided(records, share), tf.tile(steps[tf.newaxis], [share.count, 1]), own)
            )

        parts = self._steps(plan).batch(plan.steps_per_call, drop_remainder=True).flat_map(replicas)
        side_by_side = parallel(plan.steps_per_call * part * row_bytes(self._spec))
        made = parts.map(call_batches, side_by_side, deterministic=True)
        return run_ahead(made, 2 * share.count)

    def evaluation(self, batch_size: int, share: Share) -> tf.data.Dataset:
        @tf.autograph.experimental.do_not_convert
        def padded(records: tf.Tensor) -> tf.data.Dataset:
            missing = batch_size - tf.size(records)
            weight = tf.concat([tf.ones(tf.size(records)), tf.zeros(missing)], axis=0)
            filled = tf.concat([records, tf.repeat(records[:1], missing)], axis=0)
            return tf.data.Dataset.from_tensor_slices(
                tuple(
                    _divided(tf.reshape(rows, [1, batch_size]), share) for rows in (filled, weight)
                )
            )

        @tf.autograph.experimental.do_not_convert
        def batch(records: tf.Tensor, weight: tf.Tensor) -> Tensors:
            return {**self._parse(records), WEIGHT: weight}

        batches = self._records(tf.constant(self._files)).batch(batch_size).flat_map(padded)
        side_by_side = parallel(batch_size // share.replicas * row_bytes(self._spec))
        made = batches.map(batch, side_by_side, deterministic=True)
        return run_ahead(made, 2 * share.count)

    def _steps(self, plan: Plan) -> tf.data.Dataset:
        """Returns (serialized records [batch_size], number of the step), `steps_per_call` a call.

        The last step of a shorter call fills it up.
        """
        calls, batch_size = plan.calls, plan.batch_size
        steps_per_epoch = self.rows // batch_size
        starts = np.array([call.start for call in calls], np.int64)
        lengths = np.array([call.steps for call in calls], np.int64)
        if np.any(starts[1:] != starts[:-1] + lengths[:-1]):
            raise ValueError(f"calls: found {list(calls)}; allowed: calls that follow one another")
        start = int(starts[0]) if calls else 0
        numbers = start + np.arange(lengths.sum())
        times = np.ones(len(numbers), np.int64)
        times[np.cumsum(lengths) - 1] += plan.steps_per_call - lengths
        first_epoch = start // steps_per_epoch

        @tf.autograph.experimental.do_not_convert
        def epoch_steps(epoch: tf.Tensor) -> tf.data.Dataset:
            done = tf.where(epoch == first_epoch, start % steps_per_epoch * batch_size, 0)
            records = self._shuffled(epoch, plan.seed).take(steps_per_epoch * batch_size)
            return records.skip(tf.cast(done, tf.int64)).batch(batch_size, drop_remainder=True)

        epochs = -(-(start + len(numbers)) // steps_per_epoch)
        records = tf.data.Dataset.range(first_epoch, epochs).flat_map(epoch_steps)
        planned = tf.data.Dataset.from_tensor_slices((numbers, times))
        return tf.data.Dataset.zip((records, planned)).flat_map(
            lambda batch, plan: tf.data.Dataset.from_tensors((batch, plan[0])).repeat(plan[1])
        )

    def _shuffled(self, epoch: tf.Tensor, seed: int) -> tf.data.Dataset:
        """Returns the serialized records of an epoch."""
        # Within this function's graph alone: the order is not to depend on the process' own seed.
        tf.random.set_seed(1)
        key = tf.stack([tf.cast(seed, tf.int64), epoch])
        files = tf.random.experimental.stateless_shuffle(tf.constant(self._files), seed=key)
        drawn = tf.random.stateless_uniform([], seed=key, maxval=2**31 - 1, dtype=tf.int64)
        return self._records(files).shuffle(
            self._shuffle_buffer, seed=drawn, reshuffle_each_iteration=False
        )

    def _records(self, files: tf.Tensor) -> tf.data.Dataset:
        """Returns the serialized records of the files, a block of each in turn."""
        return tf.data.Dataset.from_tensor_slices(files).interleave(
            lambda file: tf.data.TFRecordDataset(file, COMPRESSION),
            cycle_length=self._parallel_reads,
            block_length=_BLOCK,
            num_parallel_calls=self._parallel_reads,
            deterministic=True,
        )

    def _parse(self, records: tf.Tensor) -> Tensors:
        parsed = tf.io.parse_example(records, self._spec)
        return {name: parsed[name] for name in sorted(parsed)}


def _divided(rows: tf.Tensor, share: Share) -> tf.Tensor:
    """Divides [steps, batch_size] among the share's replicas, [count, steps * part]."""
    steps, batch_size = rows.shape
    part = batch_size // share.replicas
    own = rows[:, share.first * part : (share.first + share.count) * part]
    by_replica = tf.transpose(tf.reshape(own, [steps, share.count, part]), [1, 0, 2])
    return tf.reshape(by_replica, [share.count, steps * part])
