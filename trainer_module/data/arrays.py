"""Transformed examples as arrays, rows in an order of their own.

Rows are ordered by what they are, not by how they came: the number of files, the order of rows
in them and the engine that wrote them leave no trace in the training.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trainer_module.data.records import Arrays, check_fixed_length, match_files, parsed_batches


def read_examples(file_patterns: Sequence[str], feature_spec: Mapping[str, Any]) -> Arrays:
    """Reads GZIP TFRecords of tf.Example into arrays, rows in canonical order.

    Args:
        file_patterns: globs of the split's files.
        feature_spec: fixed-length features, as `tf.io.parse_example` takes them.

    Returns:
        One array a feature, [rows, *shape].

    Raises:
        ValueError: if a feature is not of fixed length, a file is damaged, or there are no rows.
    """
    check_fixed_length(feature_spec)
    parts = list(parsed_batches(match_files(file_patterns), feature_spec))
    if not parts:
        raise ValueError(f"no rows in {list(file_patterns)}")
    order = canonical_order(np.concatenate([row_digests(part) for part in parts]))
    arrays = {}
    for name in sorted(parts[0]):
        # Feature by feature, so that no more than one is in memory three times.
        arrays[name] = np.concatenate([part.pop(name) for part in parts])[order]
    return arrays


def row_count(arrays: Arrays) -> int:
    return len(next(iter(arrays.values())))


def row_digests(arrays: Arrays) -> np.ndarray:
    """Returns a hash of each row's content, [rows, 2], big-endian uint64."""
    digests = [hashlib.blake2b(digest_size=16) for _ in range(row_count(arrays))]
    for name in sorted(arrays):
        for digest, row in zip(digests, _row_bytes(arrays[name]), strict=True):
            digest.update(row)
    joined = b"".join(digest.digest() for digest in digests)
    return np.frombuffer(joined, dtype=">u8").reshape(-1, 2)


def canonical_order(digests: np.ndarray) -> np.ndarray:
    """Returns the permutation that sorts rows by the hash of their content, [rows], int64."""
    return np.lexsort((digests[:, 1], digests[:, 0]))


def _row_bytes(values: np.ndarray) -> list[bytes]:
    """Returns the bytes of each row; strings are length-prefixed, so that rows stay distinct."""
    if values.dtype == object:
        flat = values.reshape(len(values), -1)
        return [b"".join(b"%d:%b" % (len(item), item) for item in row) for row in flat]
    return [row.tobytes() for row in values]
