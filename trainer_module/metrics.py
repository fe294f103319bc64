"""Metrics as sums over rows, and a result made of the sums.

A sum is the same however the rows are divided among replicas, workers and batches, and so is what
is made of it: every strategy reports the same numbers. The sums of a step travel in one vector,
which costs one all-reduce and one addition for all metrics together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from trainer_module.frechet import frechet_distance
from trainer_module.tasks import losses

PerExample = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""(labels [b, ...], predictions [b, ...]) -> [b], float32."""

_THRESHOLDS = 200


@dataclass(frozen=True)
class Metric:
    """What is summed over rows, and what the sums say.

    Attributes:
        size: how many numbers are summed.
        sums: (labels [b, ...], predictions [b, ...], weight [b]) -> [size] float32.
        result: (sums [size] float64, sum of the weights) -> the metric.
    """

    size: int
    sums: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]
    result: Callable[[np.ndarray, float], float]


def mean(function: PerExample) -> Metric:
    """Returns the weighted mean of a value of each row.

    Raises:
        ValueError: when it is used, if the function's values are not [b]; broadcast, they would
            be nonsense in silence.
    """

    def sums(labels: tf.Tensor, predictions: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        values = function(labels, predictions)
        if values.shape.rank != 1:
            name = getattr(function, "__name__", repr(function))
            raise ValueError(f"metric {name}: found {values.shape}; expected [b]")
        return tf.reduce_sum(tf.cast(values, tf.float32) * weight)[tf.newaxis]

    return Metric(1, sums, lambda total, rows: float(total[0]) / rows)


def top_k(k: int) -> Metric:
    """Returns how often the label [b] is among the k largest of logits [b, classes]."""

    def hit(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.math.in_top_k(labels, tf.cast(logits, tf.float32), k), tf.float32)

    return mean(hit)


def _counts(labels: tf.Tensor, predictions: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """Returns true positives, false positives and false negatives, [3] or [classes, 3] flat.

    Binary where predictions are [b], logits; else one class against the rest, by the largest
    of logits [b, classes].
    """
    if predictions.shape.rank == 1:
        truth = tf.cast(labels, tf.float32)
        said = tf.cast(predictions > 0, tf.float32)
        return tf.linalg.matvec(
            tf.stack([truth * said, (1 - truth) * said, truth * (1 - said)]), weight
        )
    classes = predictions.shape[-1]
    truth = tf.one_hot(labels, classes)
    said = tf.one_hot(tf.argmax(predictions, axis=-1), classes)
    counts = tf.stack([truth * said, (1 - truth) * said, truth * (1 - said)], axis=-1)
    return tf.reshape(tf.tensordot(weight, counts, axes=1), [-1])


def _macro(ratio: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray, float], float]:
    """Means a ratio of the counts over the classes; a class that never comes up counts as 0."""
    return lambda sums, _rows: float(np.mean(ratio(sums.reshape(-1, 3))))


def _divide(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.zeros_like(above), where=below != 0)


def counted(classes: int | None, ratio: Callable[[np.ndarray], np.ndarray]) -> Metric:
    """Returns a metric of true and false positives and negatives.

    Args:
        classes: None for a binary head; else the mean over the classes (macro) is taken.
        ratio: ([classes, 3] of true positives, false positives, false negatives) -> [classes].
    """
    return Metric(3 * (classes or 1), _counts, _macro(ratio))


def precision(classes: int | None = None) -> Metric:
    return counted(classes, lambda c: _divide(c[:, 0], c[:, 0] + c[:, 1]))


def recall(classes: int | None = None) -> Metric:
    return counted(classes, lambda c: _divide(c[:, 0], c[:, 0] + c[:, 2]))


def f1(classes: int | None = None) -> Metric:
    return counted(classes, lambda c: _divide(2 * c[:, 0], 2 * c[:, 0] + c[:, 1] + c[:, 2]))


def auc() -> Metric:
    """Returns the area under the ROC curve of a binary head, from a histogram of its answers.

    Rows fall into 200 bins of their probability; those of one bin count as ties, as in the
    trapezoid rule. Labels [b] of 0 and 1, predictions [b], logits.
    """

    def sums(labels: tf.Tensor, logits: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        place = tf.cast(tf.sigmoid(tf.cast(logits, tf.float32)) * _THRESHOLDS, tf.int32)
        rows = tf.one_hot(tf.minimum(place, _THRESHOLDS - 1), _THRESHOLDS)
        truth = tf.cast(labels, tf.float32)
        weights = tf.stack([weight * truth, weight * (1.0 - truth)])
        return tf.reshape(tf.matmul(weights, rows), [-1])

    def result(total: np.ndarray, _rows: float) -> float:
        positives, negatives = total.reshape(2, _THRESHOLDS)
        below = np.cumsum(negatives) - negatives
        pairs = positives.sum() * negatives.sum()
        if pairs == 0:
            return 0.0
        return float(np.sum(positives * (below + 0.5 * negatives)) / pairs)

    return Metric(2 * _THRESHOLDS, sums, result)


def frechet(dimension: int) -> Metric:
    """Returns the Frechet distance between real and generated rows, in some embedding.

    Of each, the sums of x and of x x^T over the rows make a mean and a covariance (divided by the
    number of rows). Predictions [b, 2 * dimension], the embedding of a real row and then that of
    a generated one; labels are not looked at.
    """

    def sums(_labels: tf.Tensor, predictions: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        found = []
        for rows in tf.split(tf.cast(predictions, tf.float32), [dimension, dimension], axis=1):
            weighted = rows * weight[:, tf.newaxis]
            products = tf.matmul(weighted, rows, transpose_a=True)
            found += [tf.reduce_sum(weighted, axis=0), tf.reshape(products, [-1])]
        return tf.concat(found, axis=0)

    def result(total: np.ndarray, rows: float) -> float:
        moments = []
        for part in np.split(total / rows, 2):
            mean, products = part[:dimension], part[dimension:].reshape(dimension, dimension)
            moments += [mean, products - np.outer(mean, mean)]
        return frechet_distance(*moments)

    return Metric(2 * (dimension + dimension**2), sums, result)


def as_metric(metric: Metric | PerExample) -> Metric:
    """Returns a metric as it is, and a function of each row as its mean."""
    return metric if isinstance(metric, Metric) else mean(metric)


def named(name: str, labels: tf.Tensor, predictions: tf.Tensor) -> Metric:
    """Returns the metric of a name for the head that these labels and predictions are of.

    Args:
        name: `top_K`, K a number, or one of the names below.
        labels, predictions: some rows, [b, ...].

    Raises:
        ValueError: if a head of this kind has no such metric.
    """
    if labels.dtype.is_integer and predictions.shape.rank == 2:
        classes = predictions.shape[-1]
        if name.startswith("top_") and name[4:].isdecimal() and int(name[4:]) > 0:
            return top_k(int(name[4:]))
        kind, known = "several classes", {name: make(classes) for name, make in _OF_CLASSES.items()}
        allowed = [*known, "top_K"]
    elif predictions.shape.rank == 1:
        kind, known = "one number", {**_OF_A_LOGIT, **_OF_NUMBERS}
        allowed = list(known)
    else:
        kind, known = "several numbers", dict(_OF_NUMBERS)
        allowed = list(known)
    if name not in known:
        raise ValueError(f"found {name!r}; allowed: {', '.join(allowed)}, for {kind}")
    return known[name]


_OF_CLASSES: Mapping[str, Callable[[int], Metric]] = {
    "accuracy": lambda _classes: mean(losses.class_hit),
    "precision": precision,
    "recall": recall,
    "f1": f1,
}
_OF_A_LOGIT: Mapping[str, Metric] = {
    "accuracy": mean(losses.binary_hit),
    "precision": precision(),
    "recall": recall(),
    "f1": f1(),
    "auc": auc(),
}
_OF_NUMBERS: Mapping[str, Metric] = {
    "mse": mean(losses.squared_error),
    "mae": mean(losses.absolute_error),
}
