"""Transformed examples as arrays, rows in an order of their own.

Rows are ordered by what they are, not by how they came: the number of files, the order of rows
in them and the engine that wrote them leave no trace in the training.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

Arrays = Mapping[str, np.ndarray]

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
