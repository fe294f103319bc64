"""Each metric against scikit-learn's on real data; sums of parts equal the whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.linear_model import LinearRegression
from sklearn.naive_bayes import GaussianNB

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.metrics import Metric, as_metric, mean, named  # isort: skip


@dataclass(frozen=True)
class Answers:
    """A head's labels and predictions, and a weight for each row."""

    labels: np.ndarray
    predictions: np.ndarray
    weight: np.ndarray

    def metric(self, name: str) -> Metric:
        return named(name, tf.constant(self.labels[:1]), tf.constant(self.predictions[:1]))

    def sums(self, metric: Metric, rows: slice = slice(None)) -> np.ndarray:
        parts = (self.labels[rows], self.predictions[rows], self.weight[rows])
        found = metric.sums(*(tf.constant(part) for part in parts))
        assert (found.dtype, found.shape) == (tf.float32, (metric.size,))
        return found.numpy().astype(np.float64)

    def value(self, name: str) -> float:
        metric = self.metric(name)
        return metric.result(self.sums(metric), float(self.weight.sum()))


def _weights(rows: int) -> np.ndarray:
    return np.random.default_rng(1).choice([0.0, 0.5, 1.0, 2.0], size=rows).astype(np.float32)


def _logits(probability: np.ndarray) -> np.ndarray:
    inside = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.log(inside / (1 - inside)).astype(np.float32)


@pytest.fixture(scope="module")
def digits() -> Answers:
    """Ten classes of 600 images, by a classifier that often errs."""
    images, classes = load_digits(return_X_y=True)
    model = GaussianNB(var_smoothing=0.1).fit(images[:200], classes[:200])
    logits = model.predict_joint_log_proba(images[200:800]).astype(np.float32)
    return Answers(classes[200:800].astype(np.int64), logits, _weights(600))


@pytest.fixture(scope="module")
def tumours() -> Answers:
    """Two classes: one logit a row, of a classifier that sees two columns."""
    columns, classes = load_breast_cancer(return_X_y=True)
    model = GaussianNB().fit(columns[:100, 4:6], classes[:100])
    logits = _logits(model.predict_proba(columns[100:, 4:6])[:, 1])
    return Answers(classes[100:].astype(np.int64), logits, _weights(len(logits)))


@pytest.fixture(scope="module")
def diabetes() -> Answers:
    """Two numbers a row."""
    columns, target = load_diabetes(return_X_y=True)
    labels = np.stack([target / 100, columns[:, 2]], axis=1).astype(np.float32)
    found = LinearRegression().fit(columns[:, 3:], labels).predict(columns[:, 3:])
    return Answers(labels, found.astype(np.float32), _weights(len(labels)))


@pytest.mark.parametrize("name", ["accuracy", "precision", "recall", "f1"])
def test_metric_when_of_several_classes_then_is_scikit_learns(digits, name):
    said = digits.predictions.argmax(axis=1)
    options = {} if name == "accuracy" else {"average": "macro", "zero_division": 0}
    reference = getattr(sk, f"{name}_score")
    expected = reference(digits.labels, said, sample_weight=digits.weight, **options)
    assert 0.5 < expected < 0.97, "a metric at its limit shows little"
    np.testing.assert_allclose(digits.value(name), expected, rtol=1e-6)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_top_k_when_of_several_classes_then_is_scikit_learns(digits, k):
    expected = sk.top_k_accuracy_score(
        digits.labels, digits.predictions, k=k, sample_weight=digits.weight
    )
    np.testing.assert_allclose(digits.value(f"top_{k}"), expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["accuracy", "precision", "recall", "f1"])
def test_metric_when_binary_then_is_scikit_learns_of_class_1(tumours, name):
    said = tumours.predictions > 0
    reference = getattr(sk, f"{name}_score")
    expected = reference(tumours.labels, said, sample_weight=tumours.weight)
    assert 0.5 < expected < 0.97, "a metric at its limit shows little"
    np.testing.assert_allclose(tumours.value(name), expected, rtol=1e-6)


def test_auc_when_binary_then_is_scikit_learns_within_the_width_of_its_bins(tumours):
    expected = sk.roc_auc_score(tumours.labels, tumours.predictions, sample_weight=tumours.weight)
    np.testing.assert_allclose(tumours.value("auc"), expected, atol=2e-3)


def test_auc_when_rows_fall_into_bins_then_is_scikit_learns_of_the_bins(tumours):
    bins = np.floor(200 / (1 + np.exp(-tumours.predictions.astype(np.float64))))
    expected = sk.roc_auc_score(tumours.labels, bins, sample_weight=tumours.weight)
    np.testing.assert_allclose(tumours.value("auc"), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("logits", "expected"),
    [([-9.0, -9.0, 99.0, 99.0], 1.0), ([99.0, 99.0, -9.0, -9.0], 0.0), ([3.0] * 4, 0.5)],
)
def test_auc_when_the_order_is_perfect_reversed_or_none_then_is_1_0_or_a_half(logits, expected):
    labels = np.array([0, 0, 1, 1])
    answers = Answers(labels, np.array(logits, np.float32), np.ones(4, np.float32))
    assert answers.value("auc") == expected


def test_auc_when_there_is_one_class_only_then_is_0():
    answers = Answers(np.ones(3, np.int64), np.zeros(3, np.float32), np.ones(3, np.float32))
    assert answers.value("auc") == 0.0


@pytest.mark.parametrize(
    ("name", "reference"), [("mse", sk.mean_squared_error), ("mae", sk.mean_absolute_error)]
)
def test_error_when_of_numbers_then_is_scikit_learns(diabetes, name, reference):
    expected = reference(diabetes.labels, diabetes.predictions, sample_weight=diabetes.weight)
    np.testing.assert_allclose(diabetes.value(name), expected, rtol=1e-5)
    first = Answers(diabetes.labels[:, 0], diabetes.predictions[:, 0], diabetes.weight)
    expected = reference(first.labels, first.predictions, sample_weight=first.weight)
    np.testing.assert_allclose(first.value(name), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("answers", "names"),
    [
        ("digits", ["accuracy", "precision", "recall", "f1", "top_3"]),
        ("tumours", ["accuracy", "precision", "recall", "f1", "auc"]),
        ("diabetes", ["mse", "mae"]),
    ],
)
def test_sums_when_rows_are_split_into_batches_then_add_up_to_the_whole(answers, names, request):
    head: Answers = request.getfixturevalue(answers)
    for name in names:
        metric = head.metric(name)
        parts = [head.sums(metric, slice(at, at + 97)) for at in range(0, len(head.labels), 97)]
        np.testing.assert_allclose(sum(parts), head.sums(metric), rtol=1e-5, err_msg=name)


def test_sums_when_a_row_weighs_nothing_then_leave_it_out(digits, tumours, diabetes):
    for head, names in (
        (digits, ["f1", "top_3"]),
        (tumours, ["f1", "auc"]),
        (diabetes, ["mse", "mae"]),
    ):
        real = head.weight > 0
        kept = Answers(head.labels[real], head.predictions[real], head.weight[real])
        for name in names:
            np.testing.assert_allclose(kept.value(name), head.value(name), rtol=1e-5)


@pytest.mark.parametrize(
    ("answers", "name", "allowed"),
    [
        ("digits", "auc", "accuracy, precision, recall, f1, top_K, for several classes"),
        ("digits", "mse", "accuracy, precision, recall, f1, top_K, for several classes"),
        ("digits", "top_0", "accuracy, precision, recall, f1, top_K, for several classes"),
        ("tumours", "top_2", "accuracy, precision, recall, f1, auc, mse, mae, for one number"),
        ("diabetes", "accuracy", "mse, mae, for several numbers"),
    ],
)
def test_named_when_a_head_has_no_such_metric_then_lists_those_it_has(
    answers, name, allowed, request
):
    with pytest.raises(ValueError) as caught:
        request.getfixturevalue(answers).metric(name)
    assert str(caught.value) == f"found {name!r}; allowed: {allowed}"


def test_as_metric_when_given_a_function_of_a_row_then_is_its_mean(diabetes):
    def bias(labels: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
        return predictions[:, 0] - labels[:, 0]

    metric = as_metric(bias)
    errors = (diabetes.predictions - diabetes.labels)[:, 0]
    expected = np.average(errors, weights=diabetes.weight)
    found = metric.result(diabetes.sums(metric), float(diabetes.weight.sum()))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert as_metric(metric) is metric


def test_mean_when_a_function_gives_more_than_one_value_a_row_then_names_it(diabetes):
    def pairs(labels: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
        return predictions - labels

    with pytest.raises(ValueError, match=r"metric pairs: found \(442, 2\); expected \[b\]"):
        diabetes.sums(mean(pairs))
