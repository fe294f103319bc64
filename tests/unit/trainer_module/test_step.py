"""One training step by hand: summed, unscaled, clipped, applied; in 16 bits, in parts, in XLA."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip
import tf_keras as keras  # isort: skip

from trainer_module.config import OptimizerConfig  # isort: skip
from trainer_module.data import MemorySplit, Share, plan_calls  # isort: skip
from trainer_module.engine import Engine  # isort: skip
from trainer_module.tasks.base import Forward, Phase, float32  # isort: skip
from trainer_module.tasks.digits import Digits  # isort: skip

BATCH, RATE = 32, 0.1

Values = dict[str, float]


def take(engine: Engine, *calls: int, start: int = 0) -> list[Values]:
    """Takes calls of so many steps; returns the values of each."""
    engine.runner.begin(start, max(calls))
    layout = engine.functions.train_layout
    return [layout.read(engine.runner.train(n), n) for n in calls]


def weights(engine: Engine) -> list[np.ndarray]:
    return engine.state.model.get_weights()


def assert_near(found: Sequence[np.ndarray], expected: Sequence[Any], within: float) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=within, rtol=0)


@pytest.fixture(scope="module")
def batches(train_rows) -> list[dict[str, tf.Tensor]]:
    """The first batches of a training with seed 0."""
    calls = plan_calls(0, 4, 10, 1)
    dataset = MemorySplit(train_rows).training(calls, 1, BATCH, Share(), seed=0)
    return [{name: value[0] for name, value in batch.items()} for batch in dataset]


def gradients(model: keras.Model, batch: Mapping[str, tf.Tensor]) -> list[np.ndarray]:
    """Returns the gradient of the mean losses, weighted, by Keras' own losses."""
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with tf.GradientTape() as tape:
        outputs = model(batch["image"])
        loss = cross_entropy(batch["class"], outputs["class"])
        loss += 0.5 * keras.losses.MeanSquaredError()(batch["attribute"], outputs["attribute"])
    found = tape.gradient(loss, model.trainable_variables)
    return [tf.convert_to_tensor(gradient).numpy() for gradient in found]


def norm_of(parts: Sequence[np.ndarray]) -> float:
    return float(np.sqrt(sum(np.sum(np.square(part, dtype=np.float64)) for part in parts)))


@pytest.fixture(scope="module")
def first_gradient(build_small, batches) -> list[np.ndarray]:
    """Of the small model, as it starts, on the first batch."""
    return gradients(build_small().state.model, batches[0])


@pytest.fixture(scope="module")
def plain(build_small) -> tuple[list[list[np.ndarray]], list[Values]]:
    """The weights before and after each of four steps, one a call; and what was said of them."""
    engine = build_small()
    engine.runner.begin(0, 1)
    layout = engine.functions.train_layout
    history, said = [weights(engine)], []
    for _ in range(4):
        said.append(layout.read(engine.runner.train(1), 1))
        history.append(weights(engine))
    return history, said


def test_step_when_nothing_is_clipped_then_applies_the_gradient_of_the_weighted_mean(
    plain, first_gradient
):
    (before, after, *_), said = plain
    expected = [w - RATE * g for w, g in zip(before, first_gradient, strict=True)]
    assert_near(after, expected, within=1e-6)
    np.testing.assert_allclose(said[0]["gradient_norm"], norm_of(first_gradient), rtol=1e-5)
    np.testing.assert_allclose(said[0]["learning_rate"], RATE, rtol=1e-6)


def test_step_when_it_reports_then_means_over_the_rows_of_the_batch(plain, build_small, batches):
    values, model = plain[1][0], build_small().state.model
    outputs = model(batches[0]["image"])
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    error = np.abs(outputs["attribute"] - batches[0]["attribute"])
    hits = np.argmax(outputs["class"], -1) == batches[0]["class"].numpy()
    expected = {
        "loss/class": float(cross_entropy(batches[0]["class"], outputs["class"])),
        "loss/attribute": np.mean(error**2),
        "class/accuracy": np.mean(hits),
        "attribute/mae": np.mean(error),
    }
    expected["loss"] = expected["loss/class"] + 0.5 * expected["loss/attribute"]
    assert values.keys() == expected.keys() | {"gradient_norm", "learning_rate"}
    for name, value in expected.items():
        np.testing.assert_allclose(values[name], value, rtol=1e-5, err_msg=name)


def test_call_when_it_takes_n_steps_then_equals_n_calls_of_one_bit_for_bit(build_small, plain):
    engine = build_small()
    (together,) = take(engine, 4)
    for ours, theirs in zip(weights(engine), plain[0][4], strict=True):
        assert ours.tobytes() == theirs.tobytes()
    for name, value in together.items():
        expected = np.mean([values[name] for values in plain[1]])
        np.testing.assert_allclose(value, expected, rtol=1e-6, err_msg=name)
    assert int(engine.state.step) == 4


def test_functions_when_called_with_other_numbers_of_steps_then_are_traced_once(build_small):
    engine = build_small()
    take(engine, 1, 4, 2)
    engine.runner.evaluate()
    take(engine, 3, start=7)
    engine.runner.evaluate()
    functions = engine.functions
    assert functions.train.experimental_get_tracing_count() == 1
    assert functions.evaluate.experimental_get_tracing_count() == 1


PENALTY = {"regularization": [{"pattern": "kernel", "l2": 0.01}]}


@pytest.fixture(scope="module")
def penalized(build_small) -> tuple[list[np.ndarray], Values]:
    """The weights after four steps with a penalty, and what was said."""
    engine = build_small(**PENALTY)
    (values,) = take(engine, 4)
    return weights(engine), values


@pytest.mark.parametrize("parts", [2, 8])
def test_accumulation_when_a_batch_is_taken_in_parts_then_equals_the_large_batch(
    build_small, penalized, plain, parts
):
    """Gradients, losses and metrics alike; penalties count once."""
    engine = build_small(**PENALTY, accumulate=parts)
    (values,) = take(engine, 4)
    assert_near(weights(engine), penalized[0], within=1e-6)
    assert not np.allclose(penalized[0][0], plain[0][4][0], atol=1e-5), "else nothing is shown"
    for name, value in penalized[1].items():
        np.testing.assert_allclose(values[name], value, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("accumulate", [1, 4])
def test_clipping_when_the_summed_gradient_is_too_long_then_shortens_the_sum(
    build_small, plain, first_gradient, accumulate
):
    """The parts of an accumulated gradient are longer than their sum: not they are clipped."""
    bound = 0.5 * norm_of(first_gradient)
    engine = build_small(clip={"by": "global_norm", "at": bound}, accumulate=accumulate)
    (values,) = take(engine, 1)
    expected = [w - RATE * 0.5 * g for w, g in zip(plain[0][0], first_gradient, strict=True)]
    assert_near(weights(engine), expected, within=1e-6)
    np.testing.assert_allclose(values["gradient_norm"], norm_of(first_gradient), rtol=1e-5)


def test_clipping_when_by_norm_then_each_variable_has_its_own_bound(
    build_small, plain, first_gradient
):
    engine = build_small(clip={"by": "norm", "at": 0.1})
    take(engine, 1)
    clipped = [g * min(1.0, 0.1 / norm_of([g])) for g in first_gradient]
    expected = [w - RATE * g for w, g in zip(plain[0][0], clipped, strict=True)]
    assert_near(weights(engine), expected, within=1e-6)


def test_transforms_when_named_then_run_in_order_before_clipping(
    build_small, plain, first_gradient
):
    """Ten times too long, then clipped to its length: the gradient as it was."""
    named = [{"name": "trainer_module.gradients.Scale", "options": {"factor": 10.0}}]
    engine = build_small(
        gradient_transforms=named,
        clip={"by": "global_norm", "at": norm_of(first_gradient)},
    )
    (values,) = take(engine, 1)
    assert_near(weights(engine), plain[0][1], within=1e-6)
    np.testing.assert_allclose(values["gradient_norm"], norm_of(first_gradient), rtol=1e-5)


def test_xla_when_asked_for_then_gives_nearly_the_same_weights(build_small, plain):
    engine = build_small(xla=True)
    take(engine, 4)
    assert_near(weights(engine), plain[0][4], within=1e-6)


def test_bfloat16_when_asked_for_then_stays_close_to_32_bits(build_small, plain):
    engine = build_small(precision="mixed_bfloat16")
    (values,) = take(engine, 4)
    assert {v.dtype for v in engine.state.model.trainable_variables} == {tf.float32}
    np.testing.assert_allclose(
        values["loss"], np.mean([said["loss"] for said in plain[1]]), rtol=1e-2
    )
    assert_near(weights(engine), plain[0][4], within=1e-2)


@pytest.fixture(scope="module")
def half(build_small) -> Engine:
    """In float16, under a warmup of ten steps; each test sets the scale and goes on from there."""
    return build_small(
        precision="mixed_float16", schedule={"kind": "constant", "warmup_epochs": 1.0}
    )


def test_float16_when_nothing_overflows_then_unscales_what_it_applies(half, build_small):
    """A step from the same weights, in 32 bits and in 16."""
    step = int(half.state.step)
    half.state.scale.scale.assign(2.0**15)
    whole = build_small(schedule={"kind": "constant", "warmup_epochs": 1.0})
    whole.state.model.set_weights(weights(half))
    whole.state.step.assign(step)
    (expected,), (found,) = take(whole, 1, start=step), take(half, 1, start=step)
    np.testing.assert_allclose(found["gradient_norm"], expected["gradient_norm"], rtol=1e-2)
    np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-2)
    assert_near(weights(half), weights(whole), within=1e-3)
    assert (found["skipped_steps"], found["loss_scale"]) == (0.0, 2.0**15)


def test_float16_when_a_step_overflows_then_it_is_skipped_and_the_scale_is_halved(half):
    half.state.scale.scale.assign(2.0**40)
    before, updates = weights(half), int(half.state.players[0].optimizer.updates)
    (values,) = take(half, 2, start=int(half.state.step))
    for ours, theirs in zip(weights(half), before, strict=True):
        assert ours.tobytes() == theirs.tobytes()
    assert int(half.state.players[0].optimizer.updates) == updates
    assert float(half.state.scale.read()) == 2.0**38
    assert values["skipped_steps"] == 1.0, "both of the two"
    assert np.isfinite(values["gradient_norm"])


def test_float16_when_steps_are_skipped_then_the_rate_follows_the_loops_step(half):
    """The rate of step n is (n + 1) / 10 of the peak, whatever was applied before."""
    half.state.scale.scale.assign(2.0**40)
    step = int(half.state.step)
    (skipped,) = take(half, 1, start=step)
    half.state.scale.scale.assign(2.0**15)
    (values,) = take(half, 1, start=step + 1)
    assert (skipped["skipped_steps"], values["skipped_steps"]) == (1.0, 0.0)
    np.testing.assert_allclose(values["learning_rate"], RATE * (step + 2) / 10, rtol=1e-6)


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
def turns(build_small, dense_task) -> tuple[Engine, list[np.ndarray], Values]:
    """An engine of two phases after its first step, the weights before, and what it said."""
    engine = build_small(Turns(dense_task))
    before = weights(engine)
    (values,) = take(engine, 1)
    return engine, before, values


def test_phases_when_one_repeats_then_it_descends_so_often_on_the_same_batch(
    turns, build_small, batches
):
    engine, before, _ = turns
    model = build_small().state.model
    trained = [v for v in model.trainable_variables if "attribute" not in v.name]
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for _ in range(2):
        with tf.GradientTape() as tape:
            loss = cross_entropy(batches[0]["class"], model(batches[0]["image"])["class"])
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
    (values,) = take(engine, 1)
    first, last = engine.state.players
    assert (int(first.optimizer.updates), int(last.optimizer.updates)) == (0, 1)
    assert float(engine.state.scale.read()) == 2.0**14
    assert values["skipped_steps"] == 1.0


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


def test_groups_when_a_pattern_fits_no_variable_then_names_its_key(build_small):
    sgd = {"name": "sgd", "groups": [{"pattern": "lstm"}]}
    with pytest.raises(ValueError, match=r"^train\.optimizer\.groups\.0\.pattern: found 'lstm'"):
        build_small(optimizer=sgd)
    with pytest.raises(ValueError, match=r"^train\.regularization\.0\.pattern: found 'lstm'"):
        build_small(regularization=[{"pattern": "lstm"}])


def test_frozen_group_when_trained_then_stays_while_what_is_before_it_learns(build_small):
    """The gradient flows through the frozen head to the embedding."""
    sgd = {"name": "sgd", "groups": [{"pattern": "^class/", "frozen": True}]}
    engine = build_small(optimizer=sgd)
    before = {v.name: v.numpy() for v in engine.state.model.trainable_variables}
    take(engine, 2)
    moved = {
        v.name: not np.array_equal(before[v.name], v.numpy())
        for v in engine.state.model.trainable_variables
    }
    assert moved == {name: not name.startswith("class/") for name in before}


def test_layer_report_when_asked_for_then_gives_the_norms_of_each_variable(
    build_small, first_gradient, plain
):
    engine = build_small(debug={"layer_report": True})
    (values,) = take(engine, 1)
    names = [v.name.partition(":")[0] for v in engine.state.model.trainable_variables]
    for name, gradient, weight in zip(names, first_gradient, plain[0][0], strict=True):
        expected = (norm_of([gradient]), norm_of([weight]), RATE * norm_of([gradient]))
        found = [values[f"{kind}/{name}"] for kind in ("gradient", "weight", "update")]
        np.testing.assert_allclose(found, expected, rtol=1e-4, err_msg=name)


def test_last_gradients_when_histograms_are_asked_for_then_are_those_of_the_step(
    build_small, first_gradient
):
    engine = build_small(callbacks={"tensorboard": {"histograms": True}})
    take(engine, 1)
    assert_near([v.numpy() for v in engine.state.last_gradients[0]], first_gradient, within=1e-6)


class WithEmbedding(Digits):
    """Looks each digit up by its brightest pixel: the gradient of the table is sparse."""

    def build_model(self, feature_spec: Mapping[str, Any]) -> keras.Model:
        image = keras.Input((8, 8, 1), name="image")
        pixel = tf.argmax(keras.layers.Flatten()(image), axis=-1)
        x = keras.layers.Embedding(64, 4, name="table")(pixel)
        outputs = {name: keras.layers.Dense(n, name=name)(x) for name, n in HEADS.items()}
        return keras.Model({"image": image}, {**outputs, "embedding": x})


HEADS = {"class": 10, "attribute": 2}


def test_step_when_a_gradient_is_sparse_then_is_applied_as_a_dense_one(build_small, batches):
    engine = build_small(WithEmbedding(), accumulate=2)
    before, expected = weights(engine), gradients(engine.state.model, batches[0])
    take(engine, 1)
    for ours, old, gradient in zip(weights(engine), before, expected, strict=True):
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
    build_small, dense_task, first_gradient, plain
):
    engine = build_small(AddsLoss(dense_task), accumulate=4)
    kernel = engine.state.model.get_layer("class").kernel.numpy()
    expected = [
        w - RATE * (g + 6.0 * kernel if w.shape == kernel.shape else g)
        for w, g in zip(plain[0][0], first_gradient, strict=True)
    ]
    (values,) = take(engine, 1)
    assert_near(weights(engine), expected, within=1e-5)
    penalty = 3.0 * np.sum(kernel**2)
    np.testing.assert_allclose(values["loss"], plain[1][0]["loss"] + penalty, rtol=1e-5)


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
        take(build_small(Unconnected(dense_task)), 1)
    sgd = {"name": "sgd", "groups": [{"pattern": "^aside/", "frozen": True}]}
    take(build_small(Unconnected(dense_task), optimizer=sgd), 1)


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
        take(build_small(KeepsDimension(dense_task)), 1)


def test_evaluation_when_run_then_changes_neither_weights_nor_step(build_small):
    engine = build_small()
    before = weights(engine)
    engine.runner.evaluate()
    for ours, theirs in zip(weights(engine), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert int(engine.state.step) == 0


def test_random_layers_when_a_step_repeats_then_draw_anew(build_small):
    """Dropout of the full task: two calls on the same batch differ."""
    engine = build_small(Digits(filters=4, embedding=8, dropout=0.5), optimizer={
        "name": "sgd", "learning_rate": 1e-12, "momentum": 0.0})  # fmt: skip
    first, second = take(engine, 1)[0], take(engine, 1)[0]
    assert first["loss"] != second["loss"]
