"""What the loop reads: a split of transformed examples as arrays, in an order of its own.

Rows are ordered by what they are, not by how they came: the number of files, the order of rows
in them and the engine that wrote them leave no trace in the training. The arrays stay in memory,
and a batch is one gather. Which rows a step sees is a function of the seed and the step alone, so
a training resumes at any step without replaying what it has read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

Arrays = Mapping[str, np.ndarray]

WEIGHT = "__weight__"
"""Feature of an eval batch: 1.0 for a row, 0.0 for the padding of the last batch. [b], float32."""

_PARSE_BATCH = 4096


def read_examples(file_patterns: Sequence[str], feature_spec: Mapping[str, Any]) -> Arrays:
    """Reads GZIP TFRecords of tf.Example into arrays, rows in canonical order.

    Args:
        file_patterns: globs of the split's files.
        feature_spec: fixed-length features, as `tf.io.parse_example` takes them.

    Returns:
        One array a feature, [rows, *shape].

    Raises:
        ValueError: if a feature is not of fixed length, or there are no rows.
    """
    for name, feature in feature_spec.items():
        if not isinstance(feature, tf.io.FixedLenFeature):
            raise ValueError(
                f"transformed feature {name!r}: found {type(feature).__name__}; the loop takes "
                "features of fixed length: make it dense in preprocessing_fn"
            )
    files = sorted(name for pattern in file_patterns for name in tf.io.gfile.glob(pattern))
    records = tf.data.TFRecordDataset(files, compression_type="GZIP")
    parsed = [
        {name: value.numpy() for name, value in tf.io.parse_example(batch, feature_spec).items()}
        for batch in records.batch(_PARSE_BATCH)
    ]
    if not parsed:
        raise ValueError(f"no rows in {list(file_patterns)}")
    arrays = {name: np.concatenate([part[name] for part in parsed]) for name in sorted(parsed[0])}
    order = _canonical_order(arrays)
    return {name: values[order] for name, values in arrays.items()}


def row_count(arrays: Arrays) -> int:
    return len(next(iter(arrays.values())))


def fingerprint(*splits: Arrays) -> str:
    """Returns a hash of the splits' names, shapes and values; equal for equal data."""
    digest = hashlib.sha256()
    for arrays in splits:
        for name, values in arrays.items():
            digest.update(f"{name}:{values.dtype}:{values.shape}:".encode())
            for row in _row_bytes(values):
                digest.update(row)
    return digest.hexdigest()


def _row_bytes(values: np.ndarray) -> list[bytes]:
    """Returns the bytes of each row; strings are length-prefixed, so that rows stay distinct."""
    if values.dtype == object:
        flat = values.reshape(len(values), -1)
        return [b"".join(b"%d:%b" % (len(item), item) for item in row) for row in flat]
    return [row.tobytes() for row in values]


def _canonical_order(arrays: Arrays) -> np.ndarray:
    """Returns the permutation that sorts rows by a hash of their content, [rows], int64."""
    digests = [hashlib.blake2b(digest_size=16) for _ in range(row_count(arrays))]
    for name in sorted(arrays):
        for digest, row in zip(digests, _row_bytes(arrays[name]), strict=True):
            digest.update(row)
    halves = np.frombuffer(b"".join(digest.digest() for digest in digests), dtype=">u8")
    return np.lexsort((halves[1::2], halves[0::2]))


def train_batches(
    arrays: Arrays, batch_size: int, replicas: int, seed: int, start_step: int, total_steps: int
) -> tf.data.Dataset:
    """Returns the batches of steps `start_step` to `total_steps`, one element a replica and step.

    Each epoch is a permutation of the rows of its own, drawn from (seed, epoch); rows beyond the
    last whole batch sit that epoch out. The batch of a step holds the same rows however many
    replicas share it.

    Returns:
        A dataset of feature dicts, [batch_size / replicas, *shape] each; `replicas` consecutive
        elements make up a step.
    """
    rows = row_count(arrays)
    steps_per_epoch = rows // batch_size
    share = batch_size // replicas
    tensors = {name: tf.constant(values) for name, values in arrays.items()}

    def batch(element: tf.Tensor) -> dict[str, tf.Tensor]:
        step, replica = element // replicas, element % replicas
        epoch, step_of_epoch = step // steps_per_epoch, step % steps_per_epoch
        first = step_of_epoch * batch_size + replica * share
        chosen = tf.random.experimental.index_shuffle(
            first + tf.range(share, dtype=tf.int64),
            seed=tf.stack([tf.constant(seed, tf.int64), epoch]),
            max_index=tf.constant(rows - 1, tf.int64),
        )
        return {name: tf.gather(values, chosen) for name, values in tensors.items()}

    elements = tf.data.Dataset.range(start_step * replicas, total_steps * replicas)
    return elements.map(batch, num_parallel_calls=1, deterministic=True).prefetch(2 * replicas)


def eval_batches(arrays: Arrays, batch_size: int, replicas: int) -> tf.data.Dataset:
    """Returns every row once, in order; the last batch is padded with rows of weight 0.

    Returns:
        A dataset of feature dicts with `WEIGHT`, [batch_size / replicas, *shape] each;
        ceil(rows / batch_size) * replicas elements.
    """
    rows = row_count(arrays)
    share = batch_size // replicas
    elements = -(-rows // batch_size) * replicas
    tensors = {name: tf.constant(values) for name, values in arrays.items()}

    def batch(element: tf.Tensor) -> dict[str, tf.Tensor]:
        index = element * share + tf.range(share, dtype=tf.int64)
        real = index < rows
        features = {
            name: tf.gather(values, tf.where(real, index, 0)) for name, values in tensors.items()
        }
        return {**features, WEIGHT: tf.cast(real, tf.float32)}

    return tf.data.Dataset.range(elements).map(batch).prefetch(2 * replicas)
