"""The average of the weights: its formula, its exchange with them, and what is exported."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip
import tf_keras as keras  # isort: skip

from trainer_module.callbacks import Callback, Training, Values  # isort: skip
from trainer_module.ema import WeightAverage  # isort: skip
from trainer_module.packing import LARGE  # isort: skip

RNG = np.random.default_rng(0)


@pytest.fixture
def weights() -> list[tf.Variable]:
    return [
        tf.Variable(RNG.normal(size=shape).astype(np.float32)) for shape in ([3, 2], [2], [LARGE])
    ]


def test_average_when_weights_move_then_follows_the_formula(weights):
    """The momentum of step n is (1 + n) / (10 + n) until it reaches 0.5."""
    average = WeightAverage(weights, momentum=0.5)
    expected = [weight.numpy().astype(np.float64) for weight in weights]
    for n in range(20):
        for weight in weights:
            weight.assign_add(RNG.normal(size=weight.shape).astype(np.float32))
        average.update(tf.constant(n, tf.int64))
        d = min(0.5, (1 + n) / (10 + n))
        expected = [
            d * value + (1 - d) * weight.numpy()
            for value, weight in zip(expected, weights, strict=True)
        ]
    average.swap()
    for weight, value in zip(weights, expected, strict=True):
        np.testing.assert_allclose(weight, value, rtol=1e-5, atol=1e-6)


def test_average_when_workers_move_it_side_by_side_then_stays_between_the_weights():
    weight = tf.Variable(tf.ones([100_000]))
    average = WeightAverage([weight], momentum=0.9)

    @tf.function
    def work(sign: tf.Tensor) -> tf.Tensor:
        largest = tf.constant(0.0)
        for index in tf.range(100):
            weight.assign(tf.fill([100_000], sign * (1.0 if index % 2 == 0 else -1.0)))
            average.update(tf.constant(0, tf.int64))
            largest = tf.maximum(largest, tf.reduce_max(tf.abs(average.averages[0])))
        return largest

    work.get_concrete_function(tf.TensorSpec([], tf.float32))
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(work, [tf.constant(1.0 - 2.0 * (number % 2)) for number in range(8)])
        assert max(float(value) for value in found) <= 1.0 + 1e-5


def test_swap_when_done_twice_then_every_bit_is_as_it_was(weights):
    average = WeightAverage(weights, momentum=0.9)
    for weight in weights:
        weight.assign_add(tf.ones_like(weight) / 3)
    average.update(tf.constant(5, tf.int64))
    variables = [*weights, *average.averages]
    before = [variable.numpy().tobytes() for variable in variables]
    average.swap()
    assert [variable.numpy().tobytes() for variable in variables] != before
    average.swap()
    assert [variable.numpy().tobytes() for variable in variables] == before


class KeepAverages(Callback):
    """Keeps the averages and the weights of each epoch's end."""

    def __init__(self) -> None:
        self.weights: list[list[np.ndarray]] = []
        self.averages: list[list[np.ndarray]] = []

    def on_train_begin(self, training: Training) -> None:
        self._state = training.state

    def on_epoch_end(self, epoch: int, step: int, train: Values, evaluation: Values) -> None:
        average = self._state.average
        self.weights.append(self._state.model.get_weights())
        average.swap()
        self.averages.append(self._state.model.get_weights())
        average.swap()


@pytest.fixture(scope="module")
def averaged(train_small) -> tuple:
    kept = KeepAverages()
    return train_small(callbacks=[kept], ema={"momentum": 0.9}), kept


def test_train_when_weights_are_averaged_then_evaluates_and_exports_the_averages(
    averaged, eval_rows
):
    trained, kept = averaged
    best = trained.result.best_step // 10 - 1
    for found, expected, weight in zip(
        trained.result.model.get_weights(), kept.averages[best], kept.weights[best], strict=True
    ):
        np.testing.assert_array_equal(found, expected)
        assert not np.array_equal(expected, weight), "else nothing is shown"
    logits = trained.result.model(eval_rows["image"])["class"]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(eval_rows["class"], logits)
    np.testing.assert_allclose(trained.record.epochs[best][3]["loss/class"], loss, rtol=1e-5)


def test_train_when_weights_are_averaged_then_learns_as_it_does_without(averaged, train_small):
    """The weights that are trained go on from where they were, not from the averages."""
    plain = train_small()
    for found, expected in zip(
        averaged[1].weights[1], plain.result.model.get_weights(), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


def test_train_when_resumed_then_averages_on_with_the_same_bits(averaged, train_small, tmp_path):
    train_small(tmp_path, epochs=1, ema={"momentum": 0.9})
    resumed = train_small(tmp_path, ema={"momentum": 0.9})
    assert resumed.result.resumed_from == 10
    assert resumed.bits == averaged[0].bits
