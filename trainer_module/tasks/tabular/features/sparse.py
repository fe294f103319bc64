"""Raw columns as Transform gives them, sparse, read as numbers or as texts."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import tensorflow as tf

Columns = Mapping[str, tf.SparseTensor]


def row_count(inputs: Columns) -> tf.Tensor:
    """Returns the number of rows, a scalar int64."""
    return next(iter(inputs.values())).dense_shape[0]


def numbers(columns: Columns, sizes: Mapping[str, int] | None = None) -> tf.Tensor:
    """Returns numeric columns side by side.

    However many there are, it takes a few operations each: graphs of tables with hundreds of
    columns have to stay small.

    Args:
        columns: [b, any] each, int64 or float32.
        sizes: how many values a row holds at most, by column; one where it is not named.

    Returns:
        [b, n] float64, n the sum of the sizes, in the order of `columns`; NaN where a row holds
        none, or no finite one.

    Raises:
        InvalidArgumentError: when a row holds more values in a column.
    """
    # Those of one type follow each other, so that one operation casts them all.
    names = sorted(columns, key=lambda name: columns[name].dtype.name)
    by_type: dict[tf.DType, list[tf.Tensor]] = {}
    for name in names:
        by_type.setdefault(columns[name].dtype, []).append(columns[name].values)
    casts = [tf.cast(tf.concat(same, axis=0), tf.float64) for same in by_type.values()]
    values = tf.concat(casts, axis=0)
    indices = tf.concat([columns[name].indices for name in names], axis=0)
    counts = tf.concat([s for same in by_type.values() for s in tf.shape_n(same)], axis=0)
    most = {name: (sizes or {}).get(name, 1) for name in columns}
    ends = dict(zip(columns, itertools.accumulate(most.values()), strict=True))
    number = tf.repeat(tf.range(len(names), dtype=tf.int64), counts)
    allowed = tf.constant([most[name] for name in names], tf.int64)
    first = tf.constant([ends[name] - most[name] for name in names], tf.int64)
    several = tf.boolean_mask(number, indices[:, 1] >= tf.gather(allowed, number))[:1]
    message = "found several numbers in one row; allowed: one, or `size` of them; column: "
    check = tf.debugging.Assert(
        tf.equal(tf.size(several), 0), [message, tf.gather(tf.constant(names), several)]
    )
    with tf.control_dependencies([check]):
        places = tf.stack([indices[:, 0], tf.gather(first, number) + indices[:, 1]], axis=1)
    width = sum(most.values())
    empty = tf.fill([row_count(columns), width], tf.constant(float("nan"), tf.float64))
    table = tf.tensor_scatter_nd_update(
        empty, places, tf.where(tf.math.is_finite(values), values, float("nan"))
    )
    return tf.ensure_shape(table, [None, width])


def as_text(column: tf.SparseTensor) -> tf.SparseTensor:
    """Returns a column [b, any] of texts, whatever it is of.

    A line's end becomes a space: vocabularies are files of lines. Numbers become what they are in
    decimal, a float32 without the loss of a digit.
    """
    values = column.values
    if values.dtype.is_integer:
        values = tf.strings.as_string(values)
    elif values.dtype.is_floating:
        values = tf.strings.as_string(values, precision=9, shortest=True)
    else:
        values = tf.strings.regex_replace(values, r"[\r\n]+", " ")
    return tf.SparseTensor(column.indices, values, column.dense_shape)


def texts(column: tf.SparseTensor) -> tf.RaggedTensor:
    """Returns the values of a column [b, any] as texts, [b, none or more]; an empty one is none."""
    column = as_text(column)
    holds = tf.not_equal(column.values, "")
    return tf.RaggedTensor.from_value_rowids(
        tf.boolean_mask(column.values, holds),
        tf.boolean_mask(column.indices[:, 0], holds),
        nrows=column.dense_shape[0],
        validate=False,
    )


def first_texts(column: tf.SparseTensor) -> tf.Tensor:
    """Returns the first value of each row of a column [b, any], [b] string; "" without any."""
    return texts(column)[:, :1].to_tensor("", shape=[None, 1])[:, 0]
