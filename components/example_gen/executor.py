"""Turns a bundled data set into tf.Examples on Beam; TFX's own code splits and writes them."""

from __future__ import annotations

import bisect
import hashlib
import itertools
import json
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import tensorflow as tf
from tfx.components.example_gen import base_example_gen_executor

from components.example_gen.config import SPLITS, DataConfig
from components.example_gen.sklearn_source import load_columns, rows


def to_example(row: dict[str, Any]) -> tf.train.Example:
    """Makes a tf.Example of a row: integers as int64, numbers as float, text as bytes.

    Raises:
        TypeError: if a value is of another type.
    """
    example = tf.train.Example()
    for name, value in row.items():
        values = value if isinstance(value, list) else [value]
        feature = example.features.feature[name]
        if all(isinstance(item, int) for item in values):
            feature.int64_list.value.extend(values)
        elif all(isinstance(item, (int, float)) for item in values):
            feature.float_list.value.extend(values)
        elif all(isinstance(item, str) for item in values):
            feature.bytes_list.value.extend(item.encode() for item in values)
        else:
            raise TypeError(f"column {name!r}: found {value!r}; allowed: numbers or text")
    return example


def split_counts(data: DataConfig) -> dict[str, int]:
    """Returns how many rows each split will get, by the rule that TFX's ExampleGen splits by."""
    ends = list(itertools.accumulate(getattr(data.splits, name) for name in SPLITS))
    counts = dict.fromkeys(SPLITS, 0)
    for row in rows(load_columns(data.dataset, data.limit)):
        content = to_example(row).SerializeToString(deterministic=True)
        bucket = int(hashlib.sha256(content).hexdigest(), 16) % ends[-1]
        counts[SPLITS[bisect.bisect(ends, bucket)]] += 1
    return counts


def _read(query: str) -> Iterator[bytes]:
    """Yields serialized examples; deterministic, since a protobuf map has no order of its own."""
    parameters = json.loads(query)
    for row in rows(load_columns(parameters["dataset"], parameters["limit"])):
        yield to_example(row).SerializeToString(deterministic=True)


@beam.ptransform_fn
@beam.typehints.with_input_types(beam.Pipeline)
@beam.typehints.with_output_types(bytes)
def _examples(
    pipeline: beam.Pipeline, _exec_properties: dict[str, Any], query: str
) -> beam.PCollection:
    return pipeline | beam.Create([query], reshuffle=False) | beam.FlatMap(_read)


class Executor(base_example_gen_executor.BaseExampleGenExecutor):
    """Reads what the query, a JSON object of `dataset` and `limit`, names."""

    def GetInputSourceToExamplePTransform(self) -> beam.PTransform:  # noqa: N802  TFX's name
        return _examples
