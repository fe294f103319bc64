"""AdamW as the configuration says: decay on kernels alone, the rate of the schedule."""

from __future__ import annotations

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip
import tf_keras as keras  # isort: skip

from trainer_module.config import OptimizerConfig  # isort: skip
from trainer_module.optimizers import make_optimizer  # isort: skip


@pytest.fixture
def step() -> tf.Variable:
    return tf.Variable(0, dtype=tf.int64)


@pytest.fixture
def layer() -> keras.layers.Dense:
    layer = keras.layers.Dense(3, bias_initializer="ones")
    layer.build([None, 4])
    return layer


def _apply(optimizer: keras.optimizers.Optimizer, layer: keras.layers.Layer, value: float) -> None:
    gradients = [tf.fill(variable.shape, value) for variable in layer.trainable_variables]
    optimizer.apply_gradients(zip(gradients, layer.trainable_variables, strict=True))


def test_optimizer_when_the_gradient_is_zero_then_decays_the_kernel_and_not_the_bias(step, layer):
    config = OptimizerConfig(learning_rate=0.1, weight_decay=0.5, warmup_epochs=0)
    optimizer = make_optimizer(config, step, steps_per_epoch=10, total_steps=100)
    optimizer.build(layer.trainable_variables)
    before = layer.kernel.numpy()
    _apply(optimizer, layer, 0.0)
    np.testing.assert_allclose(layer.kernel, before * (1 - 0.1 * 0.5), rtol=1e-6)
    np.testing.assert_array_equal(layer.bias, np.ones(3))


def test_optimizer_when_there_is_no_decay_then_a_zero_gradient_changes_nothing(step, layer):
    config = OptimizerConfig(learning_rate=0.1, weight_decay=0.0, warmup_epochs=0)
    optimizer = make_optimizer(config, step, steps_per_epoch=10, total_steps=100)
    optimizer.build(layer.trainable_variables)
    before = layer.kernel.numpy()
    _apply(optimizer, layer, 0.0)
    np.testing.assert_array_equal(layer.kernel, before)


@pytest.mark.parametrize(("at", "rate"), [(0, 0.1 / 20), (9, 0.05), (19, 0.1), (60, 0.0505)])
def test_optimizer_when_it_updates_then_moves_by_the_rate_of_the_step(step, layer, at, rate):
    """Adam's first update moves each weight by the rate, whatever the gradient."""
    config = OptimizerConfig(learning_rate=0.1, weight_decay=0.0, warmup_epochs=2.0)
    optimizer = make_optimizer(config, step, steps_per_epoch=10, total_steps=100)
    optimizer.build(layer.trainable_variables)
    step.assign(at)
    before = layer.kernel.numpy()
    _apply(optimizer, layer, 3.0)
    np.testing.assert_allclose(before - layer.kernel.numpy(), rate, rtol=1e-3)
    np.testing.assert_allclose(optimizer.learning_rate, rate, rtol=1e-5)


def test_optimizer_when_warmup_outlasts_the_training_then_ends_it_before_the_last_step(step):
    config = OptimizerConfig(learning_rate=0.1, warmup_epochs=50)
    schedule = make_optimizer(config, step, steps_per_epoch=10, total_steps=30)._learning_rate
    step.assign(28)
    np.testing.assert_allclose(schedule(tf.constant(0)), 0.1, rtol=1e-6)
    assert schedule.get_config()["warmup_steps"] == 29


def test_optimizer_when_the_final_fraction_is_given_then_the_rate_ends_there(step):
    config = OptimizerConfig(learning_rate=0.1, warmup_epochs=0, final_fraction=0.25)
    schedule = make_optimizer(config, step, steps_per_epoch=10, total_steps=30)._learning_rate
    step.assign(30)
    np.testing.assert_allclose(schedule(tf.constant(0)), 0.025, rtol=1e-6)
