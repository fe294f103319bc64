"""A run's metrics of answers, against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from serving.lite.metrics import KINDS, Metric, measure

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.normal(size=(50, 2)).astype(np.float32)
GUESSES = (LABELS + RANDOM.normal(0, 0.3, size=(50, 2))).astype(np.float32)
CLASSES = RANDOM.integers(0, 3, 50)
SCORES = RANDOM.dirichlet(np.ones(3), 50).astype(np.float32)

CASES = {
    "accuracy": (SCORES, CLASSES, np.mean(SCORES.argmax(1) == CLASSES)),
    "binary_accuracy": (SCORES[:, 0], CLASSES > 1, np.mean((SCORES[:, 0] > 0.5) == (CLASSES > 1))),
    "r2": (GUESSES, LABELS, sklearn_metrics.r2_score(LABELS, GUESSES)),
    "mse": (GUESSES, LABELS, sklearn_metrics.mean_squared_error(LABELS, GUESSES)),
    "mae": (GUESSES, LABELS, sklearn_metrics.mean_absolute_error(LABELS, GUESSES)),
}


def value(kind, answers, labels):
    metric = Metric(key=f"head/{kind}", kind=kind, output="y", label="truth")
    (found,) = measure([metric], {"y": answers}, {"truth": labels}).items()
    assert found[0] == f"head/{kind}"
    return found[1]


@pytest.mark.parametrize("kind", KINDS)
def test_metric_when_measured_then_is_the_fields(kind):
    answers, labels, expected = CASES[kind]
    assert value(kind, answers, labels) == pytest.approx(float(expected), rel=1e-6)


def test_binary_accuracy_when_labels_are_a_column_and_answers_are_not_then_is_of_rows():
    assert value("binary_accuracy", np.array([0.9, 0.1, 0.8]), np.array([[1], [0], [0]])) == (
        pytest.approx(2 / 3)
    )


def test_r2_when_a_column_does_not_vary_then_counts_only_if_it_is_exact():
    labels = np.array([[1.0, 5.0], [2.0, 5.0]])
    assert value("r2", labels, labels) == 1.0
    assert value("r2", labels + np.array([0.0, 0.1]), labels) == 0.5
