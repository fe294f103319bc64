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
class Rule:
    """How the values of a feature become ids; see `options`.

    Attributes:
        top_k: values in its vocabulary at most; None for one without.
        buckets: ids of the values that are in none.
    """

    top_k: int | None
    min_count: int
    buckets: int


def value_ids(values: tf.Tensor, feature: tf.Tensor, rules: Mapping[str, Rule]) -> tf.Tensor:
    """Returns the ids of values, by vocabularies of what the training split holds.

    Ids of values that are in no vocabulary come first, so that they stay when one grows; then
    those of the vocabulary, the most frequent first, equally frequent ones in the order of their
    bytes, backwards.

    Args:
        values: [n] string.
        feature: [n] int64, which of `rules` each is of.
        rules: by feature, without tabs in their names.

    Returns:
        [n] int64; from `FIRST` on.
    """
    keys = tf.constant([name + _TAB for name in rules])
    tokens = tf.strings.join([tf.gather(keys, feature), values])
    buckets = tf.gather(tf.constant([r.buckets for r in rules.values()], tf.int64), feature)
    # A hash of as many values as there are, then a remainder: the number of buckets varies.
    ids = FIRST + tf.math.floormod(tf.strings.to_hash_bucket_fast(tokens, 2**62), buckets)
    with_vocabulary = {name: rule for name, rule in rules.items() if rule.top_k is not None}
    if not with_vocabulary:
        return ids
    counted = tf.gather(tf.constant([r.top_k is not None for r in rules.values()]), feature)
    file = tft.experimental.ptransform_analyzer(
        [tf.boolean_mask(tokens, counted)],
        _Vocabularies(with_vocabulary),
        [tf.string],
        [[]],
        output_asset_default_values=[_TAB.encode()],
        name="vocabularies",
    )[0]
    lines = tft.apply_vocabulary(tf.concat([keys, tokens], axis=0), file)
    starts, lines = lines[: len(rules)], lines[len(rules) :]
    ranks = lines - tf.gather(starts, feature) - 1
    return tf.where(lines >= 0, FIRST + buckets + ranks, ids)


class _Vocabularies(PTransformAnalyzer):
    """The analyzer: batches of tokens to the path of the file."""

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        super().__init__()
        self._rules = dict(rules)

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        most = max(rule.top_k or 0 for rule in self._rules.values())
        path = os.path.join(self.base_temp_dir, FILE_NAME)
        tops = (
            batches
            | "CountInBatches" >> beam.FlatMap(_count)
            | "Count" >> beam.CombinePerKey(sum)
            | "ByFeature" >> beam.FlatMap(_by_feature, self._rules)
            | "Top" >> beam.combiners.Top.LargestPerKey(most)
            | "Cut" >> beam.Map(_cut, self._rules)
            | "Gather" >> beam.combiners.ToList()
        )
        return tops | "Write" >> beam.Map(_write, list(self._rules), path)


Top = list[tuple[int, bytes]]


def _count(batch: tuple[np.ndarray]) -> Iterator[tuple[bytes, int]]:
    yield from Counter(batch[0].tolist()).items()


def _by_feature(
    counted: tuple[bytes, int], rules: Mapping[str, Rule]
) -> Iterator[tuple[str, tuple[int, bytes]]]:
    token, count = counted
    feature, _, value = token.partition(_TAB.encode())
    if count >= rules[feature.decode()].min_count:
        yield feature.decode(), (count, value)


def _cut(found: tuple[str, Top], rules: Mapping[str, Rule]) -> tuple[str, Top]:
    feature, top = found
    return feature, top[: rules[feature].top_k]


def _write(tops: Iterable[tuple[str, Top]], features: Sequence[str], path: str) -> str:
    """Writes the file and returns its path."""
    found = dict(tops)
    tf.io.gfile.makedirs(os.path.dirname(path))
    with tf.io.gfile.GFile(path, "wb") as file:
        for feature in features:
            for value in (b"", *(value for _, value in found.get(feature, ()))):
                file.write(feature.encode() + _TAB.encode() + value + b"\n")
    return path
