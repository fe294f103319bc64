"""Rows as tf.Examples, and the split that each falls into."""

from __future__ import annotations

import bisect
import hashlib
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from components.example_gen.config import SPLITS, SplitsConfig
from components.example_gen.source import BadRow, DataError, DataSource

_SIGMAS = 6
"""Standard deviations below its mean that a count falls in one of 1e9 data sets."""


def to_example(features: Mapping[str, Any]) -> tf.train.Example:
    """Makes a tf.Example of a row: integers as int64, numbers as float, text and bytes as bytes.

    Raises:
        TypeError: if a value is of another type.
    """
    example = tf.train.Example()
    for name, value in features.items():
        values = value if isinstance(value, list) else [value]
        feature = example.features.feature[name]
        if all(isinstance(item, int) for item in values):
            feature.int64_list.value.extend(values)
        elif all(isinstance(item, (int, float)) for item in values):
            feature.float_list.value.extend(values)
        elif all(isinstance(item, bytes) for item in values):
            feature.bytes_list.value.extend(values)
        elif all(isinstance(item, str) for item in values):
            feature.bytes_list.value.extend(item.encode() for item in values)
        else:
            raise TypeError(f"column {name!r}: found {value!r}; allowed: numbers, text or bytes")
    return example


def examples(source: DataSource, shares: SplitsConfig) -> Iterator[tuple[str, bytes]]:
    """Yields the split and the serialized example of each row of a source.

    Serialized deterministically, since a protobuf map has no order of its own, and the split goes
    by the bytes.

    Raises:
        DataError: at the first row that cannot be used.
    """
    for row in source.rows():
        if isinstance(row, BadRow):
            raise DataError.at(row.where, row.found, row.allowed)
        content = to_example(row.features).SerializeToString(deterministic=True)
        yield split_of(content, row.splits, shares), content


def split_of(content: bytes, candidates: Sequence[str], shares: SplitsConfig) -> str:
    """Returns the candidate that a row falls into, by the hash that TFX's ExampleGen splits by."""
    ends = list(itertools.accumulate(getattr(shares, split) for split in candidates))
    bucket = int(hashlib.sha256(content).hexdigest(), 16) % ends[-1]
    return candidates[bisect.bisect(ends, bucket)]


def split_counts(source: DataSource, shares: SplitsConfig) -> dict[str, int]:
    """Returns how many rows each split will get, from reading them all."""
    counts = dict.fromkeys(SPLITS, 0)
    for split, _ in examples(source, shares):
        counts[split] += 1
    return counts


def least_counts(source: DataSource, shares: SplitsConfig) -> dict[str, float]:
    """Returns what each split will get at the least, all but certainly, without reading a row.

    A row falls into a split by chance, as far as its content is: the count is binomial.
    """
    least = dict.fromkeys(SPLITS, 0.0)
    for candidates, rows in source.row_counts().items():
        total = sum(getattr(shares, split) for split in candidates)
        for split in candidates:
            share = getattr(shares, split) / total
            deviation = math.sqrt(rows * share * (1 - share))
            least[split] += max(0.0, rows * share - _SIGMAS * deviation)
    return least
