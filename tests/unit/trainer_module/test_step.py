"""One training step by hand: summed, unscaled, clipped, applied; in 16 bits, in parts, in XLA."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip
import tf_keras as keras  # isort: skip

from trainer_module.engine import Engine  # isort: skip

BATCH, RATE = 32, 0.1

Values = dict[str, float]


def assert_near(found: Sequence[np.ndarray], expected: Sequence[Any], within: float) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=within, rtol=0)


def norm_of(parts: Sequence[np.ndarray]) -> float:
    return float(np.sqrt(sum(np.sum(np.square(part, dtype=np.float64)) for part in parts)))


@pytest.fixture(scope="module")
def first_gradient(build_small, first_batches, gradients_of) -> list[np.ndarray]:
    """Of the small model, as it starts, on the first batch."""
    return gradients_of(build_small().state.model, first_batches[0])


@pytest.fixture(scope="module")
def plain(build_small) -> tuple[list[list[np.ndarray]], list[Values]]:
    """The weights before and after each of four steps, one a call; and what was said of them."""
    engine = build_small()
    engine.runner.begin(0, 1)
    layout = engine.functions.train_layout
    history, said = [engine.weights], []
    for _ in range(4):
        said.append(layout.read(engine.runner.train(1), 1))
        history.append(engine.weights)
    return history, said


def test_step_when_nothing_is_clipped_then_applies_the_gradient_of_the_weighted_mean(
    plain, first_gradient
):
    (before, after, *_), said = plain
    expected = [w - RATE * g for w, g in zip(before, first_gradient, strict=True)]
    assert_near(after, expected, within=1e-6)
    np.testing.assert_allclose(said[0]["gradient_norm"], norm_of(first_gradient), rtol=1e-5)
    np.testing.assert_allclose(said[0]["learning_rate"], RATE, rtol=1e-6)


def test_step_when_it_reports_then_means_over_the_rows_of_the_batch(
    plain, build_small, first_batches
):
    values, batch = plain[1][0], first_batches[0]
    model = build_small().state.model
    outputs = model(batch["image"])
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    error = np.abs(outputs["attribute"] - batch["attribute"])
    hits = np.argmax(outputs["class"], -1) == batch["class"].numpy()
    expected = {
        "loss/class": float(cross_entropy(batch["class"], outputs["class"])),
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
    (together,) = engine.take(4)
    for ours, theirs in zip(engine.weights, plain[0][4], strict=True):
        assert ours.tobytes() == theirs.tobytes()
    for name, value in together.items():
        expected = np.mean([values[name] for values in plain[1]])
        np.testing.assert_allclose(value, expected, rtol=1e-6, err_msg=name)
    assert int(engine.state.step) == 4


def test_functions_when_called_with_other_numbers_of_steps_then_are_traced_once(build_small):
    engine = build_small()
    engine.take(1, 4, 2)
    engine.runner.evaluate()
    engine.take(3, start=7)
    engine.runner.evaluate()
    functions = engine.functions
    assert functions.train.experimental_get_tracing_count() == 1
    assert functions.evaluate.experimental_get_tracing_count() == 1


PENALTY = {"regularization": [{"pattern": "kernel", "l2": 0.01}]}


@pytest.fixture(scope="module")
def penalized(build_small) -> tuple[list[np.ndarray], Values]:
    """The weights after four steps with a penalty, and what was said."""
    engine = build_small(**PENALTY)
    (values,) = engine.take(4)
    return engine.weights, values


@pytest.mark.parametrize("parts", [2, 8])
def test_accumulation_when_a_batch_is_taken_in_parts_then_equals_the_large_batch(
    build_small, penalized, plain, parts
):
    """Gradients, losses and metrics alike; penalties count once."""
    engine = build_small(**PENALTY, accumulate=parts)
    (values,) = engine.take(4)
    assert_near(engine.weights, penalized[0], within=1e-6)
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
    (values,) = engine.take(1)
    expected = [w - RATE * 0.5 * g for w, g in zip(plain[0][0], first_gradient, strict=True)]
    assert_near(engine.weights, expected, within=1e-6)
    np.testing.assert_allclose(values["gradient_norm"], norm_of(first_gradient), rtol=1e-5)


def test_clipping_when_by_norm_then_each_variable_has_its_own_bound(
    build_small, plain, first_gradient
):
    engine = build_small(clip={"by": "norm", "at": 0.1})
    engine.take(1)
    clipped = [g * min(1.0, 0.1 / norm_of([g])) for g in first_gradient]
    expected = [w - RATE * g for w, g in zip(plain[0][0], clipped, strict=True)]
    assert_near(engine.weights, expected, within=1e-6)


def test_transforms_when_named_then_run_in_order_before_clipping(
    build_small, plain, first_gradient
):
    """Ten times too long, then clipped to its length: the gradient as it was."""
    named = [{"name": "trainer_module.gradients.Scale", "options": {"factor": 10.0}}]
    engine = build_small(
        gradient_transforms=named,
        clip={"by": "global_norm", "at": norm_of(first_gradient)},
    )
    (values,) = engine.take(1)
    assert_near(engine.weights, plain[0][1], within=1e-6)
    np.testing.assert_allclose(values["gradient_norm"], norm_of(first_gradient), rtol=1e-5)


def test_xla_when_asked_for_then_gives_nearly_the_same_weights(build_small, plain):
    engine = build_small(xla=True)
    engine.take(4)
    assert_near(engine.weights, plain[0][4], within=1e-6)


def test_bfloat16_when_asked_for_then_stays_close_to_32_bits(build_small, plain):
    engine = build_small(precision="mixed_bfloat16")
    (values,) = engine.take(4)
    assert {v.dtype for v in engine.state.model.trainable_variables} == {tf.float32}
    np.testing.assert_allclose(
        values["loss"], np.mean([said["loss"] for said in plain[1]]), rtol=1e-2
    )
    assert_near(engine.weights, plain[0][4], within=1e-2)


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
    whole.state.model.set_weights(half.weights)
    whole.state.step.assign(step)
    (expected,), (found,) = whole.take(1, start=step), half.take(1, start=step)
    np.testing.assert_allclose(found["gradient_norm"], expected["gradient_norm"], rtol=1e-2)
    np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-2)
    assert_near(half.weights, whole.weights, within=1e-3)
    assert (found["skipped_steps"], found["loss_scale"]) == (0.0, 2.0**15)


def test_float16_when_a_step_overflows_then_it_is_skipped_and_the_scale_is_halved(half):
    half.state.scale.scale.assign(2.0**40)
    before, updates = half.weights, int(half.state.players[0].optimizer.updates)
    (values,) = half.take(2, start=int(half.state.step))
    for ours, theirs in zip(half.weights, before, strict=True):
        assert ours.tobytes() == theirs.tobytes()
    assert int(half.state.players[0].optimizer.updates) == updates
    assert float(half.state.scale.read()) == 2.0**38
    assert values["skipped_steps"] == 1.0, "both of the two"
    assert np.isfinite(values["gradient_norm"])


def test_float16_when_steps_are_skipped_then_norms_are_those_of_the_steps_taken(build_small):
    engine = build_small(precision="mixed_float16", debug={"layer_report": True})
    engine.state.scale.scale.assign(2.0**40)
    engine.runner.begin(0, 4)
    layout = engine.functions.train_layout
    skipped = engine.runner.train(4)
    values = layout.read(skipped, 4)
    norms = [name for name in layout.names if name.partition("/")[0] in ("gradient", "update")]
    assert values["skipped_steps"] == 1.0
    assert len(norms) == 2 * len(engine.state.model.trainable_variables)
    assert {values[name] for name in (*norms, "gradient_norm")} == {0.0}
    assert values["learning_rate"] > 0.0
    engine.state.scale.scale.assign(1.0)
    taken = engine.runner.train(4)
    alone, both = layout.read(taken, 4), layout.read(skipped + taken, 8)
    assert both["skipped_steps"] == 0.5
    for name in (*norms, "gradient_norm"):
        assert both[name] == pytest.approx(alone[name]) and alone[name] > 0.0


def test_float16_when_steps_are_skipped_then_the_rate_follows_the_loops_step(half):
    """The rate of step n is (n + 1) / 10 of the peak, whatever was applied before."""
    half.state.scale.scale.assign(2.0**40)
    step = int(half.state.step)
    (skipped,) = half.take(1, start=step)
    half.state.scale.scale.assign(2.0**15)
    (values,) = half.take(1, start=step + 1)
    assert (skipped["skipped_steps"], values["skipped_steps"]) == (1.0, 0.0)
    np.testing.assert_allclose(values["learning_rate"], RATE * (step + 2) / 10, rtol=1e-6)


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
    engine.take(2)
    moved = {
        v.name: not np.array_equal(before[v.name], v.numpy())
        for v in engine.state.model.trainable_variables
    }
    assert moved == {name: not name.startswith("class/") for name in before}


def test_layer_report_when_asked_for_then_gives_the_norms_of_each_variable(
    build_small, first_gradient, plain
):
    engine = build_small(debug={"layer_report": True})
    (values,) = engine.take(1)
    names = [v.name.partition(":")[0] for v in engine.state.model.trainable_variables]
    for name, gradient, weight in zip(names, first_gradient, plain[0][0], strict=True):
        expected = (norm_of([gradient]), norm_of([weight]), RATE * norm_of([gradient]))
        found = [values[f"{kind}/{name}"] for kind in ("gradient", "weight", "update")]
        np.testing.assert_allclose(found, expected, rtol=1e-4, err_msg=name)


def test_last_gradients_when_histograms_are_asked_for_then_are_those_of_the_step(
    build_small, first_gradient
):
    engine = build_small(callbacks={"tensorboard": {"histograms": True}})
    engine.take(1)
    assert_near([v.numpy() for v in engine.state.last_gradients[0]], first_gradient, within=1e-6)


def test_evaluation_when_run_then_changes_neither_weights_nor_step(build_small):
    engine = build_small()
    before = engine.weights
    engine.runner.evaluate()
    for ours, theirs in zip(engine.weights, before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert int(engine.state.step) == 0
