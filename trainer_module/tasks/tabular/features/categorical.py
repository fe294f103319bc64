"""Categories and words: ids by vocabulary or by hash, and crosses of several columns' ids."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import tensorflow as tf

from trainer_module.tasks.tabular.features.sparse import Columns, as_text, texts
from trainer_module.tasks.tabular.features.vocabulary import Rule, value_ids
from trainer_module.tasks.tabular.layout import (
    FIRST,
    MISSING,
    PADDING,
    IdFeature,
    Source,
    of_column,
)
from trainer_module.tasks.tabular.options import CategoricalOptions, CrossOptions, TextOptions

_WORD_BREAKS = r"[^\pL\pM\pN_]+"
"""Of RE2: whatever is no letter, mark, digit or underscore of any script."""

# Separates what is crossed; a value that holds it can at worst share an id.
_UNIT_SEPARATOR = "\x1f"


def category_ids(
    inputs: Columns,
    features: Mapping[str, CategoricalOptions | TextOptions],
    layout: Mapping[Source, IdFeature],
) -> dict[str, tf.Tensor]:
    """Returns the ids of categorical and text columns, [b, width] int64 by column.

    What a row holds comes first, `PADDING` fills the rest; a row without a value is `MISSING` and
    padding. The values of all columns go through the same few operations one after the other, so
    that tables of many columns have small graphs.
    """
    if not features:
        return {}
    widths = {name: layout[of_column(name)].width for name in features}
    names = sorted(features, key=lambda name: (widths[name], name))
    columns = [
        _words(inputs[name]) if isinstance(features[name], TextOptions) else as_text(inputs[name])
        for name in names
    ]
    rows = columns[0].dense_shape[0]
    counts = tf.concat(tf.shape_n([column.values for column in columns]), axis=0)
    feature = tf.repeat(tf.range(len(names), dtype=tf.int64), counts)
    cells = feature * rows + tf.concat([column.indices[:, 0] for column in columns], axis=0)
    values = tf.concat([column.values for column in columns], axis=0)
    holds = tf.not_equal(values, "")
    values, feature, cells = (tf.boolean_mask(all_, holds) for all_ in (values, feature, cells))
    rules = {layout[of_column(name)].name: _rule(features[name]) for name in names}
    ids = tf.RaggedTensor.from_value_rowids(
        value_ids(values, feature, rules), cells, nrows=rows * len(names), validate=False
    )
    found: dict[str, tf.Tensor] = {}
    for width, same in itertools.groupby(names, key=widths.__getitem__):
        group = list(same)
        start = rows * len(found)
        padded = _padded(ids[start : start + rows * len(group)], width)
        parts = tf.unstack(tf.reshape(padded, [len(group), -1, width]))
        found |= dict(zip(group, parts, strict=True))
    return found


def cross_ids(parts: Sequence[tf.Tensor], options: CrossOptions) -> tf.Tensor:
    """Returns the ids of crossed columns by hash, [b] int64.

    Args:
        parts: [b] string or int64 each: the values of categories rather than their ids, so that
            the ids of a cross stay when a vocabulary changes. None is a value like another.
    """
    as_text = [part if part.dtype == tf.string else tf.strings.as_string(part) for part in parts]
    joined = tf.strings.join(as_text, _UNIT_SEPARATOR)
    return tf.strings.to_hash_bucket_fast(joined, options.buckets) + FIRST


def _rule(options: CategoricalOptions | TextOptions) -> Rule:
    if isinstance(options, CategoricalOptions) and options.hash_buckets is not None:
        return Rule(None, 0, options.hash_buckets)
    return Rule(options.top_k, options.min_count, options.oov_buckets)


def _words(column: tf.SparseTensor) -> tf.SparseTensor:
    """Returns the words of each row [b, any] in lower case, in their order."""
    prose = tf.strings.reduce_join(texts(column), axis=1, separator=" ")
    lower = tf.strings.lower(prose, encoding="utf-8")
    return tf.strings.split(tf.strings.regex_replace(lower, _WORD_BREAKS, " ")).to_sparse()


def _padded(ids: tf.RaggedTensor, width: int) -> tf.Tensor:
    """[b, none or more] int64 -> [b, width]."""
    padded = ids.to_tensor(tf.constant(PADDING, tf.int64), shape=[None, width])
    empty = tf.equal(ids.row_lengths(), 0)[:, tf.newaxis]
    first = tf.equal(tf.range(width), 0)
    return tf.where(empty & first, tf.constant(MISSING, tf.int64), padded)
