"""The latest checkpoint to go on from, and the best one to export."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip
import tf_keras as keras  # isort: skip

from trainer_module.checkpoint import Checkpoints  # isort: skip


class Training:
    """A small model with dropout, its optimizer and step, and their checkpoints."""

    def __init__(self, folder: Path, mode: str = "min", seed: int = 0) -> None:
        keras.backend.clear_session()
        keras.utils.set_random_seed(seed)
        keras.backend.experimental.enable_tf_random_generator()
        inputs = keras.Input((8,))
        dropped = keras.layers.Dropout(0.5, name="dropout")(inputs)
        self.model = keras.Model(inputs, keras.layers.Dense(2)(dropped))
        self.optimizer = keras.optimizers.AdamW(0.01)
        self.optimizer.build(self.model.trainable_variables)
        self.step = tf.Variable(0, dtype=tf.int64)
        self.checkpoints = Checkpoints(
            str(folder), self.model, self.optimizer, self.step, mode=mode
        )

    def update(self) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(self.model(tf.ones([4, 8]), training=True) ** 2)
        variables = self.model.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        self.step.assign_add(1)


def _files(folder: Path, kind: str) -> set[str]:
    return {path.stem for path in (folder / kind).glob("*.index")}


def _assert_equal(found: list, expected: list) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_restore_latest_when_there_is_none_then_starts_at_step_0(tmp_path):
    assert Training(tmp_path).checkpoints.restore_latest() == 0


def test_restore_latest_when_saved_then_brings_back_weights_moments_and_step(tmp_path):
    saved = Training(tmp_path)
    for _ in range(3):
        saved.update()
    saved.checkpoints.save_latest()
    restored = Training(tmp_path, seed=7)
    assert not np.allclose(restored.model.get_weights()[0], saved.model.get_weights()[0])
    assert restored.checkpoints.restore_latest() == 3
    _assert_equal(restored.model.get_weights(), saved.model.get_weights())
    _assert_equal(restored.optimizer.variables, saved.optimizer.variables)
    moments = [v for v in restored.optimizer.variables if v.shape == (8, 2)]
    assert len(moments) == 2, "first and second moment of the kernel"
    assert all(np.any(moment.numpy() != 0) for moment in moments)


def test_restore_latest_when_the_model_drops_out_then_the_next_masks_are_those_to_come(tmp_path):
    saved = Training(tmp_path)
    saved.update()
    saved.checkpoints.save_latest()
    saved.update()
    restored = Training(tmp_path, seed=7)
    restored.checkpoints.restore_latest()
    restored.update()
    _assert_equal(restored.model.get_weights(), saved.model.get_weights())
    _assert_equal(restored.optimizer.variables, saved.optimizer.variables)


def test_restore_latest_when_the_model_is_another_then_refuses(tmp_path):
    saved = Training(tmp_path)
    saved.checkpoints.save_latest()
    other = keras.Sequential([keras.Input((8,)), keras.layers.Dense(5), keras.layers.Dense(2)])
    optimizer = keras.optimizers.AdamW(0.01)
    optimizer.build(other.trainable_variables)
    checkpoints = Checkpoints(str(tmp_path), other, optimizer, saved.step, "min")
    with pytest.raises((AssertionError, ValueError)):
        checkpoints.restore_latest()


@pytest.mark.parametrize(
    ("mode", "values", "beats"),
    [
        ("min", [3.0, 2.0, 2.0, 2.5, 1.0], [True, True, False, False, True]),
        ("max", [-3.0, -2.0, -2.0, -2.5, 4.0], [True, True, False, False, True]),
    ],
)
def test_save_if_best_when_a_value_beats_those_before_then_saves_it(tmp_path, mode, values, beats):
    training = Training(tmp_path, mode)
    said, best = [], []
    for value in values:
        training.update()
        said.append(training.checkpoints.save_if_best(value))
        best.append(_files(tmp_path, "best"))
    assert said == beats
    assert best == [{"ckpt-1"}, {"ckpt-2"}, {"ckpt-2"}, {"ckpt-2"}, {"ckpt-5"}]


@pytest.mark.parametrize("mode", ["min", "max"])
def test_save_if_best_when_resumed_then_remembers_the_best_value(tmp_path, mode):
    first = Training(tmp_path, mode)
    assert first.checkpoints.save_if_best(2.0)
    first.checkpoints.save_latest()
    resumed = Training(tmp_path, mode)
    resumed.checkpoints.restore_latest()
    worse, better = (2.5, 1.5) if mode == "min" else (1.5, 2.5)
    assert not resumed.checkpoints.save_if_best(worse)
    assert resumed.checkpoints.save_if_best(better)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_save_if_best_when_the_value_is_not_finite_then_names_it_and_saves_nothing(
    tmp_path, mode, value
):
    training = Training(tmp_path, mode)
    training.step.assign(12)
    with pytest.raises(FloatingPointError, match=f"{value} at step 12"):
        training.checkpoints.save_if_best(value)
    assert _files(tmp_path, "best") == set()


def test_save_latest_when_called_often_then_keeps_the_two_newest(tmp_path):
    training = Training(tmp_path)
    for _ in range(5):
        training.update()
        training.checkpoints.save_latest()
    assert _files(tmp_path, "latest") == {"ckpt-4", "ckpt-5"}


def test_save_latest_when_resumed_then_still_keeps_no_more_than_two(tmp_path):
    for step in range(1, 5):
        training = Training(tmp_path)
        training.checkpoints.restore_latest()
        training.update()
        training.checkpoints.save_latest()
        assert int(training.step) == step
    assert _files(tmp_path, "latest") == {"ckpt-3", "ckpt-4"}


def test_restore_best_when_training_went_on_then_brings_back_the_best_weights(tmp_path):
    training = Training(tmp_path)
    training.update()
    training.checkpoints.save_if_best(1.0)
    best = training.model.get_weights()
    training.update()
    training.checkpoints.save_if_best(2.0)
    assert not np.array_equal(training.model.get_weights()[0], best[0])
    assert training.checkpoints.restore_best() == 1
    _assert_equal(training.model.get_weights(), best)


def test_save_latest_when_it_dies_before_naming_its_files_then_the_one_before_is_latest(
    tmp_path, monkeypatch
):
    training = Training(tmp_path)
    training.update()
    training.checkpoints.save_latest()
    expected = training.model.get_weights()
    training.update()

    def die(_manager: tf.train.CheckpointManager) -> None:
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(tf.train.CheckpointManager, "_record_state", die)
        training.checkpoints.save_latest()
    assert _files(tmp_path, "latest") == {"ckpt-1", "ckpt-2"}
    restored = Training(tmp_path, seed=7)
    assert restored.checkpoints.restore_latest() == 1
    _assert_equal(restored.model.get_weights(), expected)


def test_save_if_best_when_two_values_differ_in_float64_alone_then_tells_them_apart(tmp_path):
    training = Training(tmp_path)
    assert training.checkpoints.save_if_best(0.1 + 1e-12)
    assert training.checkpoints.save_if_best(0.1)
    assert not training.checkpoints.save_if_best(0.1)
