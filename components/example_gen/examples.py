"""Rows as tf.Examples, and how many of them the splits of a source will get."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from components.example_gen.config import SPLITS, SplitsConfig
from components.example_gen.intake import Intake
from components.example_gen.source import DataSource

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


def intake_of(source: DataSource) -> Intake:
    """Returns what becomes of the rows of a source, from reading them all.

    Raises:
        DataError: if they cannot be read.
    """
    pieces = source.pieces()
    survey = source.merge([source.survey(piece) for piece in pieces])
    return Intake.merge(
        [Intake.of(batch) for piece in pieces for batch in source.read(piece, survey)]
    )


def least_counts(source: DataSource, shares: SplitsConfig) -> dict[str, float] | None:
    """Returns what each split will get at the least, all but certainly, without reading a row.

    A row falls into a split by chance, as far as its content is: the count is binomial. None where
    only reading tells how many rows there are.
    """
    counts = source.row_counts()
    if counts is None:
        return None
    least = dict.fromkeys(SPLITS, 0.0)
    for candidates, rows in counts.items():
        total = sum(getattr(shares, split) for split in candidates)
        for split in candidates:
            share = getattr(shares, split) / total
            deviation = math.sqrt(rows * share * (1 - share))
            least[split] += max(0.0, rows * share - _SIGMAS * deviation)
    return least
