"""Derivatives that the loop's users rely on: of the embedding, and through frozen layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip
import tf_keras as keras  # isort: skip

from trainer_module.config import TrainConfig  # isort: skip
from trainer_module.data import MemorySplit  # isort: skip
from trainer_module.engine import build_engine  # isort: skip
from trainer_module.state import seed_keras  # isort: skip
from trainer_module.strategy import Place  # isort: skip
from trainer_module.tasks.digits import Digits  # isort: skip
from trainer_module.tasks.digits.model import build_model  # isort: skip

RATE = 0.1
FROZEN, EARLIER = "conv2", "conv1"


@pytest.fixture
def float64() -> Iterator[None]:
    """Makes Keras build in float64, in which differences are worth something."""
    keras.backend.set_floatx("float64")
    keras.mixed_precision.set_global_policy("float64")
    yield
    keras.backend.set_floatx("float32")
    keras.mixed_precision.set_global_policy("float32")


def test_embedding_when_its_jacobian_is_taken_then_agrees_with_finite_differences(
    float64, train_rows
):
    seed_keras(0)
    model = build_model(classes=10, attributes=2, filters=4, embedding=6, dropout=0.0)
    images = train_rows["image"][:3].astype(np.float64)
    # Off the ties of max pooling, where there is no derivative.
    images += np.random.default_rng(0).uniform(0.0, 0.01, images.shape)

    def embed(rows: Any) -> tf.Tensor:
        return model({"image": rows})["embedding"]

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        inputs = tf.constant(images)
        tape.watch(inputs)
        embedding = embed(inputs)
    jacobian = tape.batch_jacobian(embedding, inputs).numpy().reshape(3, 6, 64)

    step = 1e-6
    nudges = step * np.eye(64).reshape(64, 1, 8, 8, 1)
    ahead, behind = (
        embed((images[np.newaxis] + sign * nudges).reshape(-1, 8, 8, 1)).numpy() for sign in (1, -1)
    )
    expected = ((ahead - behind) / (2 * step)).reshape(64, 3, 6).transpose(1, 2, 0)
    assert np.any(expected != 0.0)
    np.testing.assert_allclose(jacobian, expected, atol=1e-7)


def one_step(rows: dict[str, np.ndarray], frozen: bool) -> tuple[Any, dict, dict]:
    """Takes a step of plain SGD; returns the model and its weights by name, before and after."""
    groups = [{"pattern": f"^{FROZEN}/", "frozen": True}] if frozen else []
    config = TrainConfig(
        epochs=1,
        batch_size=32,
        steps_per_call=1,
        optimizer={"name": "sgd", "momentum": 0.0, "learning_rate": RATE, "groups": groups},
        schedule={"kind": "constant", "warmup_epochs": 0},
        clip=None,
    )
    split = MemorySplit({name: values[:32] for name, values in rows.items()})
    task = Digits(filters=4, embedding=8, dropout=0.0)
    strategy = tf.distribute.get_strategy()
    engine = build_engine(task, {}, split, split, config, strategy, Place(), None, None)
    model = engine.state.model

    def weights() -> dict[str, np.ndarray]:
        return {variable.name: variable.numpy() for variable in model.trainable_variables}

    before = weights()
    engine.runner.begin(0, 1)
    engine.runner.train(1)
    return model, before, weights()


def with_stopped_gradient(model: keras.Model, rows: dict, before: dict) -> dict[str, np.ndarray]:
    """Returns gradients of the total loss, conv2's kernel and bias under `tf.stop_gradient`."""
    values = {name: tf.constant(value) for name, value in before.items()}
    with tf.GradientTape() as tape:
        tape.watch(values)
        kept = {
            name: tf.stop_gradient(value) if name.startswith(FROZEN) else value
            for name, value in values.items()
        }

        def conv(x: tf.Tensor, name: str) -> tf.Tensor:
            x = tf.nn.conv2d(x, kept[f"{name}/kernel:0"], 1, "SAME") + kept[f"{name}/bias:0"]
            return tf.nn.relu(x)

        def dense(x: tf.Tensor, name: str) -> tf.Tensor:
            return x @ kept[f"{name}/kernel:0"] + kept[f"{name}/bias:0"]

        x = conv(conv(tf.constant(rows["image"][:32]), "conv1"), "conv2")
        x = conv(tf.nn.max_pool2d(x, 2, 2, "VALID"), "conv3")
        x = tf.nn.relu(dense(tf.reshape(x, [32, -1]), "embedding"))
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(rows["class"][:32], dense(x, "class"))
        )
        error = tf.math.squared_difference(rows["attribute"][:32], dense(x, "attribute"))
        loss += 0.5 * tf.reduce_mean(error)
    return tape.gradient(loss, values)


def test_step_when_a_group_is_frozen_then_it_stays_and_gradients_flow_through_it(train_rows):
    model, before, after = one_step(train_rows, frozen=True)
    _, _, free = one_step(train_rows, frozen=False)
    assert {n for n in after if np.array_equal(after[n], before[n])} == {
        f"{FROZEN}/kernel:0",
        f"{FROZEN}/bias:0",
    }
    expected = with_stopped_gradient(model, train_rows, before)
    assert expected[f"{FROZEN}/kernel:0"] is None
    for name in (f"{EARLIER}/kernel:0", f"{EARLIER}/bias:0"):
        np.testing.assert_array_equal(after[name], free[name])
        gradient = (before[name] - after[name]) / RATE
        assert np.any(gradient != 0.0)
        np.testing.assert_allclose(gradient, expected[name], atol=2e-6)
