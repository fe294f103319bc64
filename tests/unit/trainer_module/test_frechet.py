"""The Frechet distance, held to its formula; and as a metric of sums."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.frechet import frechet_distance  # isort: skip
from trainer_module.metrics import frechet  # isort: skip


def moments(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return rows.mean(axis=0), np.cov(rows.T, bias=True)


@pytest.fixture
def rows() -> np.ndarray:
    """Two embeddings of 90 rows, side by side, [90, 8]."""
    generator = np.random.default_rng(0)
    mixing = generator.normal(size=(4, 4))
    real, generated = generator.normal(size=(2, 90, 4))
    return np.concatenate([real @ mixing + 1.0, generated * 2.0], axis=1).astype(np.float32)


def test_frechet_distance_when_in_general_then_is_the_formula_with_a_matrix_square_root(rows):
    mean1, covariance1 = moments(rows[:, :4].astype(np.float64))
    mean2, covariance2 = moments(rows[:, 4:].astype(np.float64))
    root = scipy.linalg.sqrtm(covariance1 @ covariance2).real
    expected = np.sum((mean1 - mean2) ** 2) + np.trace(covariance1 + covariance2 - 2 * root)
    found = frechet_distance(mean1, covariance1, mean2, covariance2)
    assert found == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_when_of_one_dimension_then_is_of_means_and_deviations():
    found = frechet_distance(np.array([1.0]), np.array([[9.0]]), np.array([3.0]), np.array([[4.0]]))
    assert found == pytest.approx((1.0 - 3.0) ** 2 + (3.0 - 2.0) ** 2)


def test_frechet_distance_when_a_covariance_is_singular_then_is_still_exact():
    mean, flat = np.zeros(2), np.diag([4.0, 0.0])
    assert frechet_distance(mean, flat, mean, flat) == pytest.approx(0.0, abs=1e-12)
    assert frechet_distance(mean, flat, mean, np.diag([0.0, 9.0])) == pytest.approx(13.0)


@pytest.mark.parametrize("batches", [1, 5])
def test_frechet_metric_when_rows_come_in_batches_then_is_the_distance_of_all(rows, batches):
    metric = frechet(4)
    total = np.zeros(metric.size)
    for part in np.split(rows, batches):
        # As an evaluation does: padding has no weight.
        padded = np.concatenate([part, np.full([3, 8], 7.0, np.float32)])
        weight = tf.constant([1.0] * len(part) + [0.0] * 3)
        total += metric.sums(tf.zeros([len(padded)]), tf.constant(padded), weight).numpy()
    exact = rows.astype(np.float64)
    expected = frechet_distance(*moments(exact[:, :4]), *moments(exact[:, 4:]))
    assert metric.result(total, len(rows)) == pytest.approx(expected, rel=1e-4)


def test_frechet_metric_when_both_halves_are_equal_then_is_zero(rows):
    metric = frechet(4)
    twice = tf.constant(np.concatenate([rows[:, :4], rows[:, :4]], axis=1))
    total = metric.sums(tf.zeros([90]), twice, tf.ones([90])).numpy().astype(np.float64)
    assert metric.result(total, 90.0) == pytest.approx(0.0, abs=1e-6)
