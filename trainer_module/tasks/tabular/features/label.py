"""The label: the number of its class, or the number to predict."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from trainer_module.tasks.tabular.features.sparse import first_texts, numbers
from trainer_module.tasks.tabular.features.summary import analyze


def class_number(column: tf.SparseTensor, classes: Sequence[str]) -> tf.Tensor:
    """Returns the place of each row's label among the classes, [b] int64; -1 without a label.

    Args:
        column: [b, any]: texts or numbers.
        classes: as texts.

    Raises:
        InvalidArgumentError: when a label is none of `classes`.
    """
    names = first_texts(column)
    known = tf.equal(names[:, tf.newaxis], tf.constant(list(classes)))
    found = tf.reduce_any(known, axis=1)
    unknown = tf.boolean_mask(names, ~(found | tf.equal(names, "")))
    message = (
        "task.options.classes: found a label that is none of them; allowed: "
        f"{', '.join(classes)}; found: "
    )
    check = tf.debugging.Assert(tf.equal(tf.size(unknown), 0), [message, unknown])
    with tf.control_dependencies([check]):
        number = tf.argmax(tf.cast(known, tf.int32), axis=1)
        return tf.where(found, number, tf.constant(-1, tf.int64))


def number_and_scale(name: str, column: tf.SparseTensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns each row's label, [b] float32, NaN without one; and its scale, [2] float32.

    The scale is the mean and the standard deviation over the training split.

    Args:
        name: of the column, for messages.
        column: [b, any]: numbers.
    """
    values = tf.cast(numbers({name: column}), tf.float32)
    statistics, _ = analyze(values, medians=[], buckets={})
    return values[:, 0], tf.cast(statistics[0, :2], tf.float32)
