"""What a task may make of a step: phases, losses of its own, sparse gradients, random layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip
import tf_keras as keras  # isort: skip

from trainer_module.config import OptimizerConfig  # isort: skip
from trainer_module.tasks.base import Forward, Phase, float32  # isort: skip
from trainer_module.tasks.digits import Digits  # isort: skip

RATE = 0.1


class Turns(Digits):
    """Two phases: one trains the classes, twice a step; the other the attributes, in Adam."""

    def __init__(self, dense: type[Digits], overflow: bool = False) -> None:
        super().__init__()
        self._dense = dense()
        self._overflow = overflow

    def build_model(self, feature_spec: Mapping[str, Any]) -> keras.Model:
        return self._dense.build_model(feature_spec)

    def phases(self, model: keras.Model) -> Sequence[Phase]:
        def forward(head: str, measured: bool) -> Callable[[Mapping[str, tf.Tensor]], Forward]:
            def run(features: Mapping[str, tf.Tensor]) -> Forward:
                outputs = float32(model(features, training=True))
                losses = self.losses(outputs, features)
                if self._overflow and head == "class":
                    losses["class"] *= tf.constant(1e38)
                return Forward({head: losses[head]}, outputs if measured else None)

            return run

        slow = OptimizerConfig(name="adam", learning_rate=0.002)
        attribute = model.get_layer("attribute").trainable_variables
        return [
            Phase(
                "classes",
                [v for v in model.trainable_variables if "attribute" not in v.name],
                {"class": 1.0},
                forward("class", measured=True),
                repeats=2,
            ),
            Phase(
                "attributes", attribute, {"attribute": 0.5}, forward("attribute", False), 1, slow
            ),
        ]


@pytest.fixture(scope="module")
def turns(build_small, dense_task) -> tuple[Any, list[np.ndarray], dict[str, float]]:
    """An engine of two phases after its first step, the weights before, and what it said."""
    engine = build_small(Turns(dense_task))
    before = engine.weights
    (values,) = engine.take(1)
    return engine, before, values


def test_phases_when_one_repeats_then_it_descends_so_often_on_the_same_batch(
    turns, build_small, first_batches
):
    engine, before, _ = turns
    model = build_small().state.model
    trained = [v for v in model.trainable_variables if "attribute" not in v.name]
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for _ in range(2):
        with tf.GradientTape() as tape:
            loss = cross_entropy(
                first_batches[0]["class"], model(first_batches[0]["image"])["class"]
            )
        for variable, gradient in zip(trained, tape.gradient(loss, trained), strict=True):
            variable.assign_sub(RATE * gradient)
    expected = {v.name: v.numpy() for v in trained}
    found = {v.name: v.numpy() for v in engine.state.model.trainable_variables}
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-6, err_msg=name)
    names = [v.name for v in engine.state.model.trainable_variables]
    for name, old in zip(names, before, strict=True):
        # Adam's first update moves each weight by the rate, whatever the gradient.
        moved = np.abs(found[name] - old).max()
        if "attribute" in name:
            np.testing.assert_allclose(moved, 0.002, rtol=1e-3)


def test_phases_when_there_are_two_then_each_reports_its_own_norm_and_rate(turns):
    _, _, values = turns
    assert list(values) == [
        *("loss", "loss/class", "loss/attribute", "class/accuracy", "attribute/mae"),
        *("gradient_norm/classes", "learning_rate/classes"),
        *("gradient_norm/attributes", "learning_rate/attributes"),
    ]
    assert values["learning_rate/classes"] == pytest.approx(RATE)
    assert values["learning_rate/attributes"] == pytest.approx(0.002)
    expected = values["loss/class"] + 0.5 * values["loss/attribute"]
    assert values["loss"] == pytest.approx(expected, rel=1e-5)


def test_phases_when_the_first_overflows_in_float16_then_the_scale_is_halved(
    build_small, dense_task
):
    """The last phase's gradient is fine, and is applied."""
    engine = build_small(
        Turns(dense_task, overflow=True), precision="mixed_float16", clip={"at": 1.0}
    )
    (values,) = engine.take(1)
    first, last = engine.state.players
    assert (int(first.optimizer.updates), int(last.optimizer.updates)) == (0, 1)
    assert float(engine.state.scale.read()) == 2.0**14
    assert values["skipped_steps"] == 1.0


class Unmeasured(Turns):
    """The second phase alone returns the model's outputs, or none does."""

    def __init__(self, dense: type[Digits], measured: bool) -> None:
        super().__init__(dense)
        self._measured = measured

    def phases(self, model: keras.Model) -> Sequence[Phase]:
        first, last = super().phases(model)

        def without(features: Mapping[str, tf.Tensor]) -> Forward:
            return Forward(first.forward(features).losses)

        def with_outputs(features: Mapping[str, tf.Tensor]) -> Forward:
            return Forward(last.forward(features).losses, first.forward(features).outputs)

        return [
            Phase(first.name, first.variables, first.losses, without),
            Phase(
                last.name,
                last.variables,
                last.losses,
                with_outputs if self._measured else last.forward,
            ),
        ]


def test_phases_when_a_later_one_returns_the_outputs_then_they_are_measured(
    build_small, dense_task
):
    (values,) = build_small(Unmeasured(dense_task, measured=True)).take(1)
    assert values["attribute/mae"] > 0


def test_phases_when_none_returns_the_outputs_then_names_the_metrics(build_small, dense_task):
    message = r"metrics class/accuracy, attribute/mae: found no phase that returns .*; allowed: "
    with pytest.raises(ValueError, match=message):
        build_small(Unmeasured(dense_task, measured=False)).take(1)


def test_groups_when_a_pattern_is_of_one_phase_alone_then_it_need_not_fit_the_other(
    build_small, dense_task
):
    class OneRule(Turns):
        def phases(self, model: keras.Model) -> Sequence[Phase]:
            first, last = super().phases(model)
            shared = Phase(last.name, last.variables, last.losses, last.forward)
            return [first, shared]

    groups = [{"pattern": "attribute", "frozen": False, "learning_rate_factor": 0.0}]
    sgd = {"name": "sgd", "learning_rate": RATE, "groups": groups}
    engine = build_small(OneRule(dense_task), optimizer=sgd)
    assert len(engine.state.players) == 2


class WithEmbedding(Digits):
    """Looks each digit up by its brightest pixel: the gradient of the table is sparse."""

    def build_model(self, feature_spec: Mapping[str, Any]) -> keras.Model:
        image = keras.Input((8, 8, 1), name="image")
        pixel = tf.argmax(keras.layers.Flatten()(image), axis=-1)
        x = keras.layers.Embedding(64, 4, name="table")(pixel)
        outputs = {name: keras.layers.Dense(n, name=name)(x) for name, n in HEADS.items()}
        return keras.Model({"image": image}, {**outputs, "embedding": x})


HEADS = {"class": 10, "attribute": 2}


def test_step_when_a_gradient_is_sparse_then_is_applied_as_a_dense_one(
    build_small, first_batches, gradients_of
):
    engine = build_small(WithEmbedding(), accumulate=2)
    before, expected = engine.weights, gradients_of(engine.state.model, first_batches[0])
    engine.take(1)
    for ours, old, gradient in zip(engine.weights, before, expected, strict=True):
        np.testing.assert_allclose(ours, old - RATE * gradient, atol=1e-6)


class AddsLoss(Digits):
    """Adds the squared weights of the class head to the loss, as layers may."""

    def __init__(self, dense: type[Digits]) -> None:
        super().__init__()
        self._dense = dense()

    def build_model(self, feature_spec: Mapping[str, Any]) -> keras.Model:
        model = self._dense.build_model(feature_spec)
        model.add_loss(lambda: 3.0 * tf.reduce_sum(model.get_layer("class").kernel ** 2))
        return model


def test_step_when_the_model_adds_losses_then_they_enter_loss_and_gradient_once(
    build_small, dense_task, first_batches, gradients_of
):
    engine = build_small(AddsLoss(dense_task), accumulate=4)
    before = engine.weights
    kernel = engine.state.model.get_layer("class").kernel.numpy()
    expected = [
        w - RATE * (g + 6.0 * kernel if w.shape == kernel.shape else g)
        for w, g in zip(before, gradients_of(engine.state.model, first_batches[0]), strict=True)
    ]
    (values,) = engine.take(1)
    for found, value in zip(engine.weights, expected, strict=True):
        np.testing.assert_allclose(found, value, atol=1e-5)
    heads = values["loss/class"] + 0.5 * values["loss/attribute"]
    np.testing.assert_allclose(values["loss"], heads + 3.0 * np.sum(kernel**2), rtol=1e-5)


class Unconnected(AddsLoss):
    """Has a layer that no head sees."""

    def build_model(self, feature_spec: Mapping[str, Any]) -> keras.Model:
        model = self._dense.build_model(feature_spec)
        aside = keras.layers.Dense(1, name="aside")(model.output["embedding"])
        return keras.Model(model.input, {**model.output, "aside": aside})


def test_step_when_no_loss_depends_on_a_variable_then_names_it_and_what_helps(
    build_small, dense_task
):
    message = r"no loss depends on .* aside/kernel:0, aside/bias:0: .* freeze them in a parameter"
    with pytest.raises(ValueError, match=message):
        build_small(Unconnected(dense_task)).take(1)
    sgd = {"name": "sgd", "groups": [{"pattern": "^aside/", "frozen": True}]}
    build_small(Unconnected(dense_task), optimizer=sgd).take(1)


class KeepsDimension(AddsLoss):
    """Returns a loss of [b, 1] for the class head."""

    def losses(
        self, outputs: Mapping[str, tf.Tensor], features: Mapping[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        values = super().losses(outputs, features)
        return {**values, "class": values["class"][:, tf.newaxis]}


def test_step_when_a_loss_is_not_one_value_a_row_then_names_it_and_its_shape(
    build_small, dense_task
):
    with pytest.raises(ValueError, match=r"'class': found \(32, 1\); expected \[b\]"):
        build_small(KeepsDimension(dense_task)).take(1)


def test_random_layers_when_a_step_repeats_then_draw_anew(build_small):
    """Dropout of the full task: two calls on the same batch differ."""
    still = {"name": "sgd", "learning_rate": 1e-12, "momentum": 0.0}
    engine = build_small(Digits(filters=4, embedding=8, dropout=0.5), optimizer=still)
    first, second = engine.take(1)[0], engine.take(1)[0]
    assert first["loss"] != second["loss"]
