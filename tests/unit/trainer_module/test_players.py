"""Several players in one step: turns, repeats, optimizers of their own; by hand on two numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip
import tf_keras as keras  # isort: skip

from trainer_module.config import OptimizerConfig, TrainConfig  # isort: skip
from trainer_module.data import MemorySplit  # isort: skip
from trainer_module.engine import Engine, build_engine  # isort: skip
from trainer_module.numerics import Bound  # isort: skip
from trainer_module.numerics.replay import diagnose  # isort: skip
from trainer_module.numerics.snapshot import Origin, take  # isort: skip
from trainer_module.strategy import Place  # isort: skip
from trainer_module.tasks.base import Forward, Head, Phase, Task, Tensors  # isort: skip

RATE_A, RATE_B, REPEATS = 0.1, 0.2, 3


class Duel(Task):
    """Player a lowers a * b by moving a, three times a step; then player b raises it by moving b.

    Args:
        slow: optimizer of player b.
    """

    def __init__(self, slow: Mapping[str, Any] | None = None) -> None:
        self._slow = slow or {"name": "sgd", "momentum": 0.0}

    @property
    def heads(self) -> Sequence[Head]:
        return (
            Head("score", "x", lambda _x, score: score, served="score"),
            Head("seen", "x", None, served="seen", metrics={"mean": lambda x, _seen: x}),
        )

    def build_model(self, feature_spec: Mapping[str, Any]) -> keras.Model:
        x = keras.Input((), name="x")
        a, b = (
            keras.layers.Dense(
                1,
                use_bias=False,
                kernel_initializer=keras.initializers.Constant(value),
                name=name,
            )
            for name, value in (("a", 1.0), ("b", 2.0))
        )
        score = tf.squeeze(b(a(x[:, tf.newaxis])), axis=-1)
        return keras.Model({"x": x}, {"score": score, "seen": x, "embedding": score})

    def serving_outputs(self, outputs: Tensors) -> dict[str, tf.Tensor]:
        return {"score": outputs["score"], "seen": outputs["seen"]}

    def phases(self, model: keras.Model) -> Sequence[Phase]:
        def lower(features: Tensors) -> Forward:
            return Forward({"lower": model(features)["score"]})

        def raise_(features: Tensors) -> Forward:
            return Forward({"raise": -model(features)["score"]})

        sgd = OptimizerConfig(name="sgd", momentum=0.0, learning_rate=RATE_A)
        slow = OptimizerConfig(learning_rate=RATE_B, **self._slow)
        a, b = (model.get_layer(name).trainable_variables for name in "ab")
        return [
            Phase("a", a, {"lower": 1.0}, lower, REPEATS, sgd, measured=False),
            Phase("b", b, {"raise": 1.0}, raise_, optimizer=slow, measured=False),
        ]


@pytest.fixture
def build() -> Callable[..., Engine]:
    def make(task: Task, **changes: Any) -> Engine:
        config = TrainConfig(
            epochs=1,
            batch_size=4,
            steps_per_call=1,
            schedule={"kind": "constant", "warmup_epochs": 0},
            clip=None,
            **changes,
        )
        split = MemorySplit({"x": np.ones(8, np.float32)})
        engine = build_engine(
            task, {}, split, split, config, tf.distribute.get_strategy(), Place(), None, None
        )
        engine.runner.begin(0, 1)
        return engine

    return make


def numbers(engine: Engine) -> list[float]:
    """Returns a and b."""
    return [float(weight.squeeze()) for weight in engine.state.model.get_weights()]


def step(engine: Engine) -> dict[str, float]:
    return engine.functions.train_layout.read(engine.runner.train(1), 1)


def test_step_when_players_take_turns_then_each_answers_the_other_with_its_own_rate(build):
    engine = build(Duel())
    values = step(engine)
    a = 1.0 - REPEATS * RATE_A * 2.0
    assert numbers(engine) == pytest.approx([a, 2.0 + RATE_B * a])
    # Of the last repeat, before its update; and of player b, after all of a's.
    assert values["loss/lower"] == pytest.approx((a + RATE_A * 2.0) * 2.0)
    assert values["loss/raise"] == pytest.approx(-a * 2.0)
    assert values["gradient_norm/a"] == pytest.approx(2.0)
    assert values["gradient_norm/b"] == pytest.approx(a)
    assert values["learning_rate/a"] == pytest.approx(RATE_A)
    assert values["learning_rate/b"] == pytest.approx(RATE_B)


def test_step_when_a_phase_repeats_then_its_optimizer_counts_every_update(build):
    engine = build(Duel(slow={"name": "adam"}))
    for _ in range(2):
        step(engine)
    first, second = (player.optimizer for player in engine.state.players)
    assert [int(first.updates.numpy()), int(second.updates.numpy())] == [2 * REPEATS, 2]
    assert len(second.slots) > 0
    slots = {id(slot) for slot in tf.nest.flatten(first.slots)}
    assert not slots & {id(slot) for slot in tf.nest.flatten(second.slots)}


def test_step_when_no_phase_is_measured_then_reports_losses_and_no_metrics(build):
    engine = build(Duel())
    assert "seen/mean" not in step(engine)
    assert "seen/mean" in engine.functions.evaluation_layout.names


def test_evaluation_when_a_head_has_no_loss_then_is_measured_alone(build):
    engine = build(Duel())
    values = engine.functions.evaluation_layout.read(engine.runner.evaluate())
    assert values == pytest.approx({"loss": 2.0, "loss/score": 2.0, "seen/mean": 1.0})


@pytest.mark.parametrize("key", ["losses", "class_weights"])
def test_objective_when_a_head_without_a_loss_is_given_one_then_is_refused(build, key):
    asked = {"losses": {"seen": "squared_error"}, "class_weights": {"seen": {1: 2.0}}}
    with pytest.raises(ValueError, match=f"^train.{key}: found 'seen'; allowed: score$"):
        build(Duel(), **{key: asked[key]})


@pytest.mark.parametrize(("player", "norm"), [("a", "2"), ("b", "0.4")])
def test_diagnosis_when_a_players_norm_explodes_then_names_a_variable_of_that_player(
    build, player, norm
):
    engine = build(Duel())
    config = TrainConfig(epochs=1, batch_size=4, clip=None)
    origin = Origin(None, config, {}, 2, 2, Bound(f"gradient_norm/{player}", 0.3))
    batch = {"x": np.ones(4, np.float32)}
    finding = diagnose(Duel(), origin, take(engine.state), batch)
    assert (finding.kind, finding.layer) == ("explosion", player)
    # a's gradient is b, 2; b's is a, which three steps of a have made 1 - 3 * 0.1 * 2.
    assert finding.values.startswith(f"norm {norm}, ")
    assert finding.values.endswith(f"gradient_norm/{player} {norm} is above 0.3")


def test_phase_when_it_is_not_repeated_once_then_is_refused():
    with pytest.raises(ValueError, match=r"^phase 'b': found repeats 0; allowed: at least 1$"):
        Phase("b", [], {}, lambda _features: Forward({}), repeats=0)
