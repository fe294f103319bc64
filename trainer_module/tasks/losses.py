"""Per-example losses and metrics that tasks share; all take [b, ...] and return [b], float32."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

NAMES = ("softmax_cross_entropy", "sigmoid_cross_entropy", "squared_error", "absolute_error")
"""What a configuration may call by name."""


def softmax_cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """labels [b] int, logits [b, classes]; in nats."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)


def sigmoid_cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """labels [b] of 0 and 1, logits [b]; in nats."""
    return tf.nn.sigmoid_cross_entropy_with_logits(
        labels=tf.cast(labels, logits.dtype), logits=logits
    )


def squared_error(labels: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
    """labels and predictions [b, ...]; the mean over all but b."""
    return _mean_of_rows(tf.square(_errors(labels, predictions)))


def absolute_error(labels: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
    """labels and predictions [b, ...]; the mean over all but b."""
    return _mean_of_rows(tf.abs(_errors(labels, predictions)))


def class_hit(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """1 where the largest of logits [b, classes] is the label [b]; its mean is the accuracy."""
    return tf.cast(tf.equal(tf.argmax(logits, axis=-1), labels), tf.float32)


def top_k_hit(k: int) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Returns the function that is 1 where the label [b] is among the k largest of logits.

    Classes whose logit equals the k-th largest all count as among them.
    """

    def hit(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.math.in_top_k(labels, logits, k), tf.float32)

    return hit


def binary_hit(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """1 where the sign of logits [b] agrees with the label [b]; its mean is the accuracy."""
    return tf.cast(tf.equal(tf.cast(logits > 0, labels.dtype), labels), tf.float32)


def _errors(labels: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
    """Returns predictions less labels.

    Raises:
        ValueError: if they differ in shape; broadcast, each row would meet every other one.
    """
    if not labels.shape.is_compatible_with(predictions.shape):
        raise ValueError(
            f"labels: found {labels.shape}; allowed: as predicted, {predictions.shape}"
        )
    return predictions - tf.cast(labels, predictions.dtype)


def _mean_of_rows(values: tf.Tensor) -> tf.Tensor:
    """[b, ...] -> [b]."""
    return tf.reduce_mean(values, axis=list(range(1, values.shape.rank)))
