"""The vocabularies of all columns that have one, counted together and kept in one file.

TensorFlow Transform's own take a chain of a dozen Beam stages for each column, two seconds apiece
whatever the size of the data. Here they share one chain, one file and one lookup table.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_transform.beam.experimental import PTransformAnalyzer

from trainer_module.tasks.tabular.layout import FIRST

FILE_NAME = "vocabulary"
"""Of the file among the assets of Transform's graph.

Lines of a feature, a tab and a value; each feature's begin with one that has no value.
"""

_TAB = "\t"


@dataclass(frozen=True)
class Limits:
    """Which values of a feature are in its vocabulary; see `options`."""

    top_k: int
    min_count: int
    oov_buckets: int


def vocabulary_ids(
    values: Mapping[str, tf.RaggedTensor], limits: Mapping[str, Limits]
) -> dict[str, tf.RaggedTensor]:
    """Returns the ids of values by vocabularies of what the training split holds.

    Ids of values that are not in the vocabulary come first, so that no other one moves when a
    vocabulary grows; then those of the vocabulary, the most frequent first, equally frequent ones
    in the order of their bytes, backwards.

    Args:
        values: [b, none or more] string, without tabs in the names; by feature.
        limits: by feature.

    Returns:
        [b, none or more] int64 by feature; from `FIRST` on.
    """
    names = list(values)
    if not names:
        return {}
    tokens = tf.concat(
        [tf.strings.join([name + _TAB, values[name].flat_values]) for name in names], axis=0
    )
    counts = tf.stack([tf.size(values[name].flat_values) for name in names])
    file = tft.experimental.ptransform_analyzer(
        [tokens],
        _Vocabularies({name: limits[name] for name in names}),
        [tf.string],
        [[]],
        output_asset_default_values=[b"\t"],
        name="vocabularies",
    )[0]
    starts = tft.apply_vocabulary(tf.constant([name + _TAB for name in names]), file)
    lines = tft.apply_vocabulary(tokens, file)
    buckets = tf.constant([limits[name].oov_buckets for name in names], tf.int64)
    first = tf.repeat(FIRST + buckets - 1 - starts, counts)
    # A hash of as many values as there are, then a remainder: the number of buckets varies.
    hashes = tf.strings.to_hash_bucket_fast(tokens, 2**62)
    others = FIRST + tf.math.floormod(hashes, tf.repeat(buckets, counts))
    ids = tf.where(lines >= 0, lines + first, others)
    parts = tf.split(ids, counts, num=len(names))
    return {
        name: values[name].with_flat_values(part) for name, part in zip(names, parts, strict=True)
    }


class _Vocabularies(PTransformAnalyzer):
    """The analyzer: batches of tokens to the path of the file."""

    def __init__(self, limits: Mapping[str, Limits]) -> None:
        super().__init__()
        self._limits = dict(limits)

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        most = max(limits.top_k for limits in self._limits.values())
        path = os.path.join(self.base_temp_dir, FILE_NAME)
        tops = (
            batches
            | "CountInBatches" >> beam.FlatMap(_count)
            | "Count" >> beam.CombinePerKey(sum)
            | "ByFeature" >> beam.FlatMap(_by_feature, self._limits)
            | "Top" >> beam.combiners.Top.LargestPerKey(most)
            | "Cut" >> beam.Map(_cut, self._limits)
            | "Gather" >> beam.combiners.ToList()
        )
        return tops | "Write" >> beam.Map(_write, list(self._limits), path)


Top = list[tuple[int, bytes]]


def _count(batch: tuple[np.ndarray]) -> Iterator[tuple[bytes, int]]:
    yield from Counter(batch[0].tolist()).items()


def _by_feature(
    counted: tuple[bytes, int], limits: Mapping[str, Limits]
) -> Iterator[tuple[str, tuple[int, bytes]]]:
    token, count = counted
    feature, _, value = token.partition(_TAB.encode())
    if count >= limits[feature.decode()].min_count:
        yield feature.decode(), (count, value)


def _cut(found: tuple[str, Top], limits: Mapping[str, Limits]) -> tuple[str, Top]:
    feature, top = found
    return feature, top[: limits[feature].top_k]


def _write(tops: Iterable[tuple[str, Top]], features: Sequence[str], path: str) -> str:
    """Writes the file and returns its path."""
    found = dict(tops)
    tf.io.gfile.makedirs(os.path.dirname(path))
    with tf.io.gfile.GFile(path, "wb") as file:
        for feature in features:
            for value in (b"", *(value for _, value in found.get(feature, ()))):
                file.write(feature.encode() + _TAB.encode() + value + b"\n")
    return path
