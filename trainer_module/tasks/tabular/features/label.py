"""The label: the number of its class, or the number to predict."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from trainer_module.tasks.tabular.features.sparse import first_texts


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
