"""The gradient penalty and its own derivative, held to formulas and to finite differences."""

from __future__ import annotations

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.tasks.gan.losses import (  # isort: skip
    critic_loss,
    gradient_penalty,
    interpolate,
)

STEP = 1e-5


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).uniform(size=(5, 3, 2, 1))


@pytest.fixture
def linear() -> np.ndarray:
    """Weights of a linear critic of the images."""
    return np.random.default_rng(1).normal(size=6)


@pytest.fixture
def network() -> list[tf.Variable]:
    """Weights of a smooth critic of two layers, in float64."""
    generator = np.random.default_rng(2)
    return [tf.Variable(generator.normal(size=shape)) for shape in ((6, 4), (4,), (4, 1))]


def critic_of(network: list[tf.Variable]):
    first, bias, second = network

    def critic(images: tf.Tensor) -> tf.Tensor:
        hidden = tf.tanh(tf.reshape(images, [-1, 6]) @ first + bias)
        return tf.squeeze(hidden @ second, axis=1)

    return critic


def differences(function, at: np.ndarray) -> np.ndarray:
    """Returns the derivative of a scalar function by central differences."""
    found = np.zeros_like(at)
    for index in np.ndindex(at.shape):
        nudge = np.zeros_like(at)
        nudge[index] = STEP
        found[index] = (function(at + nudge) - function(at - nudge)) / (2 * STEP)
    return found


def test_gradient_penalty_when_the_critic_is_linear_then_is_of_its_weights_norm(images, linear):
    found = gradient_penalty(
        lambda x: tf.linalg.matvec(tf.reshape(x, [-1, 6]), linear), tf.constant(images)
    )
    np.testing.assert_allclose(found, np.full(5, (np.linalg.norm(linear) - 1.0) ** 2), rtol=1e-9)


def test_gradient_penalty_when_the_critic_is_linear_then_its_derivative_is_the_formula(
    images, linear
):
    weights = tf.Variable(linear)
    with tf.GradientTape() as tape:
        penalty = gradient_penalty(
            lambda x: tf.linalg.matvec(tf.reshape(x, [-1, 6]), weights), tf.constant(images)
        )
        mean = tf.reduce_mean(penalty)
    norm = np.linalg.norm(linear)
    expected = 2.0 * (norm - 1.0) * linear / norm
    np.testing.assert_allclose(tape.gradient(mean, weights), expected, rtol=1e-9)


def test_gradient_penalty_when_held_to_finite_differences_of_the_scores_then_agrees(
    images, network
):
    critic = critic_of(network)
    slopes = [differences(lambda x: float(critic(x[np.newaxis])[0]), image) for image in images]
    expected = [(np.linalg.norm(slope) - 1.0) ** 2 for slope in slopes]
    np.testing.assert_allclose(gradient_penalty(critic, tf.constant(images)), expected, rtol=1e-7)


def test_gradient_penalty_when_differentiated_again_then_agrees_with_finite_differences(
    images, network
):
    critic = critic_of(network)

    def mean() -> tf.Tensor:
        return tf.reduce_mean(gradient_penalty(critic, tf.constant(images)))

    with tf.GradientTape() as tape:
        penalty = mean()
    for variable, found in zip(network, tape.gradient(penalty, network), strict=True):
        start = variable.numpy()

        def moved(value: np.ndarray, variable: tf.Variable = variable) -> float:
            variable.assign(value)
            return float(mean())

        expected = differences(moved, start)
        variable.assign(start)
        assert np.any(expected != 0.0)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8)


def test_gradient_penalty_when_the_critic_sees_nothing_then_its_derivative_is_finite(images):
    weights = tf.Variable(np.zeros(6))
    with tf.GradientTape() as tape:
        penalty = gradient_penalty(
            lambda x: tf.linalg.matvec(tf.reshape(x, [-1, 6]), weights), tf.constant(images)
        )
    assert np.all(np.isfinite(tape.gradient(penalty, weights)))
    np.testing.assert_allclose(penalty, np.ones(5), atol=1e-5)


def test_interpolate_when_shares_are_given_then_mixes_row_by_row(images):
    samples = np.zeros_like(images)
    found = interpolate(
        tf.constant(images), tf.constant(samples), tf.constant([1, 0, 0.5, 1, 0], tf.float64)
    )
    np.testing.assert_array_equal(found[0], images[0])
    np.testing.assert_array_equal(found[1], samples[1])
    np.testing.assert_allclose(found[2], images[2] / 2)


def test_critic_loss_when_the_image_scores_better_then_is_negative():
    scores = tf.constant([[3.0, 1.0], [0.0, 2.0]])
    np.testing.assert_array_equal(critic_loss(tf.zeros([2]), scores), [-2.0, 2.0])
