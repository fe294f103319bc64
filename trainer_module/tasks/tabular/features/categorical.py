"""Categories and words: ids by vocabulary or by hash, and crosses of several columns' ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from trainer_module.tasks.tabular.features.sparse import Columns, texts
from trainer_module.tasks.tabular.features.vocabulary import Limits, vocabulary_ids
from trainer_module.tasks.tabular.layout import FIRST, MISSING, PADDING, IdFeature, of_column
from trainer_module.tasks.tabular.options import CategoricalOptions, CrossOptions, TextOptions

_WORD_BREAKS = r"[^\pL\pM\pN_]+"
"""Of RE2: whatever is no letter, mark, digit or underscore of any script."""

# Separates what is crossed; a value that holds it can at worst share an id.
_UNIT_SEPARATOR = "\x1f"


def category_ids(
    inputs: Columns,
    features: Mapping[str, CategoricalOptions | TextOptions],
    layout: Mapping[tuple[str, ...], IdFeature],
) -> dict[str, tf.Tensor]:
    """Returns the ids of categorical and text columns, [b, width] int64 by column.

    What a row holds comes first, `PADDING` fills the rest; a row without a value is `MISSING` and
    padding.
    """
    values = {
        name: _words(inputs[name]) if isinstance(options, TextOptions) else texts(inputs[name])
        for name, options in features.items()
    }
    ids: dict[str, tf.RaggedTensor] = {}
    with_vocabulary: dict[str, Limits] = {}
    for name, options in features.items():
        if isinstance(options, CategoricalOptions) and options.hash_buckets is not None:
            hashes = tf.strings.to_hash_bucket_fast(values[name].flat_values, options.hash_buckets)
            ids[name] = values[name].with_flat_values(hashes + FIRST)
        else:
            key = layout[of_column(name)].name
            with_vocabulary[key] = Limits(options.top_k, options.min_count, options.oov_buckets)
    keys = {layout[of_column(name)].name: name for name in features}
    found = vocabulary_ids({key: values[keys[key]] for key in with_vocabulary}, with_vocabulary)
    ids |= {keys[key]: looked_up for key, looked_up in found.items()}
    return {name: _padded(ids[name], layout[of_column(name)].width) for name in features}


def cross_ids(parts: Sequence[tf.Tensor], options: CrossOptions) -> tf.Tensor:
    """Returns the ids of crossed columns by hash, [b] int64.

    Args:
        parts: [b] string or int64 each: the values of categories rather than their ids, so that
            the ids of a cross stay when a vocabulary changes. None is a value like another.
    """
    as_text = [part if part.dtype == tf.string else tf.strings.as_string(part) for part in parts]
    joined = tf.strings.join(as_text, _UNIT_SEPARATOR)
    return tf.strings.to_hash_bucket_fast(joined, options.buckets) + FIRST


def _words(column: tf.SparseTensor) -> tf.RaggedTensor:
    """Returns the words of each row [b, any] in lower case, [b, none or more] string."""
    prose = tf.strings.reduce_join(texts(column), axis=1, separator=" ")
    lower = tf.strings.lower(prose, encoding="utf-8")
    return tf.strings.split(tf.strings.regex_replace(lower, _WORD_BREAKS, " "))


def _padded(ids: tf.RaggedTensor, width: int) -> tf.Tensor:
    """[b, none or more] int64 -> [b, width]."""
    padded = ids.to_tensor(tf.constant(PADDING, tf.int64), shape=[None, width])
    empty = tf.equal(ids.row_lengths(), 0)[:, tf.newaxis]
    first = tf.equal(tf.range(width), 0)
    return tf.where(empty & first, tf.constant(MISSING, tf.int64), padded)
