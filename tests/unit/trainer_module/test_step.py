"""One training step by hand: losses weighted, gradients summed, clipped, applied."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip
import tf_keras as keras  # isort: skip

from trainer_module.data import WEIGHT, eval_batches, train_batches  # isort: skip
from trainer_module.step import StepFunctions, build_step_functions  # isort: skip
from trainer_module.tasks.digits import Digits  # isort: skip

BATCH = 32
RATE = 0.5


class Setting:
    """The digits task on one device under plain gradient descent, so that updates show."""

    def __init__(
        self,
        clip_global_norm: float | None = None,
        attribute_weight: float = 0.5,
        task_class: type[Digits] = Digits,
    ) -> None:
        keras.utils.set_random_seed(0)
        self.task = task_class(
            filters=4, embedding=8, dropout=0.0, attribute_weight=attribute_weight
        )
        self.model = self.task.build_model({})
        self.step = tf.Variable(0, dtype=tf.int64)
        self.optimizer = keras.optimizers.SGD(RATE)
        self.optimizer.build(self.model.trainable_variables)
        self.functions: StepFunctions = build_step_functions(
            self.task,
            self.model,
            self.optimizer,
            self.step,
            tf.distribute.get_strategy(),
            global_batch_size=BATCH,
            clip_global_norm=clip_global_norm,
        )

    def gradients(self, batch: dict) -> list[tf.Tensor]:
        """The gradient of the mean losses, weighted, by Keras' own losses."""
        cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        with tf.GradientTape() as tape:
            outputs = self.model(batch["image"])
            loss = cross_entropy(batch["class"], outputs["class"])
            loss += 0.5 * keras.losses.MeanSquaredError()(batch["attribute"], outputs["attribute"])
        return tape.gradient(loss, self.model.trainable_variables)


def _batches(rows: dict[str, np.ndarray], steps: int) -> Iterator:
    return iter(train_batches(rows, BATCH, 1, seed=0, start_step=0, total_steps=steps))


def _assert_one_step_applies(setting: Setting, rows: dict, gradients: list[tf.Tensor]) -> dict:
    before = setting.model.get_weights()
    sums = setting.functions.train(_batches(rows, 1), tf.constant(1))
    for old, new, gradient in zip(before, setting.model.get_weights(), gradients, strict=True):
        np.testing.assert_allclose(new, old - RATE * gradient, rtol=1e-4, atol=1e-6)
    return sums


def test_train_when_clipping_is_off_then_applies_the_gradient_of_the_weighted_mean(train_rows):
    setting = Setting(clip_global_norm=None)
    gradients = setting.gradients(next(_batches(train_rows, 1)))
    sums = _assert_one_step_applies(setting, train_rows, gradients)
    norm = tf.linalg.global_norm(gradients)
    np.testing.assert_allclose(sums["gradient_norm"], norm, rtol=1e-5)


def test_train_when_the_norm_is_above_the_limit_then_clips_the_whole_gradient(train_rows):
    setting = Setting(clip_global_norm=0.1)
    gradients = setting.gradients(next(_batches(train_rows, 1)))
    clipped, norm = tf.clip_by_global_norm(gradients, 0.1)
    assert norm > 0.2
    sums = _assert_one_step_applies(setting, train_rows, clipped)
    np.testing.assert_allclose(sums["gradient_norm"], norm, rtol=1e-5)


def test_train_when_the_norm_is_below_the_limit_then_leaves_the_gradient(train_rows):
    setting = Setting(clip_global_norm=1000.0)
    _assert_one_step_applies(setting, train_rows, setting.gradients(next(_batches(train_rows, 1))))


@pytest.mark.parametrize("weight", [0.5, 2.0])
def test_train_when_heads_are_weighted_then_the_total_is_their_weighted_sum(train_rows, weight):
    setting = Setting(attribute_weight=weight)
    sums = setting.functions.train(_batches(train_rows, 1), tf.constant(1))
    total = float(sums["loss/class"]) + weight * float(sums["loss/attribute"])
    np.testing.assert_allclose(sums["loss"], total, rtol=1e-6)
    assert float(sums["loss/attribute"]) > 0


def test_train_when_n_steps_are_taken_then_sums_the_means_of_each(train_rows):
    together, apart = Setting(), Setting()
    sums = together.functions.train(_batches(train_rows, 3), tf.constant(3))
    batches = _batches(train_rows, 3)
    steps = [apart.functions.train(batches, tf.constant(1)) for _ in range(3)]
    for name, value in sums.items():
        np.testing.assert_allclose(value, sum(float(s[name]) for s in steps), rtol=1e-6)
    assert int(together.step) == int(apart.step) == 3
    np.testing.assert_allclose(sums["learning_rate"], 3 * RATE, rtol=1e-6)


def test_train_when_called_then_reports_means_over_the_rows_of_the_step(train_rows):
    setting = Setting()
    batch = next(_batches(train_rows, 1))
    outputs = setting.model(batch["image"])
    sums = setting.functions.train(_batches(train_rows, 1), tf.constant(1))
    hits = np.argmax(outputs["class"], -1) == batch["class"].numpy()
    np.testing.assert_allclose(sums["class/accuracy"], np.mean(hits), rtol=1e-6)
    error = np.mean(np.abs(outputs["attribute"] - batch["attribute"]))
    np.testing.assert_allclose(sums["attribute/mae"], error, rtol=1e-5)


def test_functions_when_called_with_other_numbers_of_steps_then_are_traced_once(
    train_rows, eval_rows
):
    functions = Setting().functions
    batches = _batches(train_rows, 10)
    for n in (1, 4, 2):
        functions.train(batches, tf.constant(n))
    assert functions.train.experimental_get_tracing_count() == 1
    dataset = eval_batches(eval_rows, 50, 1)
    for n in (3, 1, 2):
        functions.evaluate(iter(dataset), tf.constant(n))
    assert functions.evaluate.experimental_get_tracing_count() == 1


def test_evaluate_when_rows_weigh_nothing_then_leaves_them_out(eval_rows):
    functions = Setting().functions
    padded = functions.evaluate(iter(eval_batches(eval_rows, 64, 1)), tf.constant(3))
    exact = functions.evaluate(iter(eval_batches(eval_rows, 50, 1)), tf.constant(3))
    assert padded.keys() == exact.keys()
    assert float(padded[WEIGHT]) == 150
    for name in exact:
        np.testing.assert_allclose(padded[name], exact[name], rtol=1e-5, err_msg=name)


def test_evaluate_when_called_then_changes_no_weight_and_no_step(eval_rows):
    setting = Setting()
    before = setting.model.get_weights()
    setting.functions.evaluate(iter(eval_batches(eval_rows, 50, 1)), tf.constant(3))
    for ours, theirs in zip(setting.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert int(setting.step) == 0


class Regularized(Digits):
    """Adds the squared weights of the class head to the loss."""

    def build_model(self, feature_spec: dict) -> keras.Model:
        model = super().build_model(feature_spec)
        model.add_loss(lambda: 3.0 * tf.reduce_sum(model.get_layer("class").kernel ** 2))
        return model


def test_train_when_the_model_has_losses_of_its_own_then_they_enter_loss_and_gradient(train_rows):
    setting = Setting(task_class=Regularized)
    kernel = setting.model.get_layer("class").kernel
    penalty = 3.0 * float(tf.reduce_sum(kernel**2))
    gradients = [
        gradient + 6.0 * kernel if variable is kernel else gradient
        for gradient, variable in zip(
            setting.gradients(next(_batches(train_rows, 1))),
            setting.model.trainable_variables,
            strict=True,
        )
    ]
    sums = _assert_one_step_applies(setting, train_rows, gradients)
    heads = float(sums["loss/class"]) + 0.5 * float(sums["loss/attribute"])
    np.testing.assert_allclose(sums["loss"], heads + penalty, rtol=1e-5)


class Unconnected(Digits):
    """Has a layer that no head sees."""

    def build_model(self, feature_spec: dict) -> keras.Model:
        model = super().build_model(feature_spec)
        aside = keras.layers.Dense(1, name="aside")(model.output["embedding"])
        return keras.Model(model.input, {**model.output, "aside": aside})


def test_train_when_no_loss_depends_on_a_variable_then_names_it(train_rows):
    functions = Setting(task_class=Unconnected).functions
    with pytest.raises(ValueError, match=r"no loss depends on .*aside/kernel:0, aside/bias:0"):
        functions.train(_batches(train_rows, 1), tf.constant(1))


class KeepsDimension(Digits):
    """Returns a loss of [b, 1] for the class head."""

    def losses(self, outputs: dict, features: dict) -> dict[str, tf.Tensor]:
        values = super().losses(outputs, features)
        return {**values, "class": values["class"][:, tf.newaxis]}


def test_train_when_a_loss_is_not_one_value_a_row_then_names_it_and_its_shape(train_rows):
    functions = Setting(task_class=KeepsDimension).functions
    with pytest.raises(ValueError, match=r"'class': found \(32, 1\); expected \[b\]"):
        functions.train(_batches(train_rows, 1), tf.constant(1))
