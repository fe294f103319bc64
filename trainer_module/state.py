"""All that a training changes as it runs, made under its strategy: what a checkpoint holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
import tf_keras as keras

from trainer_module.config import TrainConfig
from trainer_module.ema import WeightAverage
from trainer_module.loss_scale import LossScale
from trainer_module.optimizers import Optimizer, check_patterns, split_frozen
from trainer_module.tasks.base import Phase, Task
from trainer_module.warm_start import Weights, begin_with


@dataclass(frozen=True)
class Player:
    """A phase with the optimizer of its variables."""

    phase: Phase
    optimizer: Optimizer
    learning_rate: float


@dataclass(frozen=True)
class TrainState:
    """What a training is at a step.

    Attributes:
        step: steps taken, int64 scalar.
        plateau: factor of the learning rate that a plateau lowers, float32 scalar.
        scale: of the loss, under float16.
        average: of the weights, where one is kept.
        last_gradients: of the last step, by player; empty unless they are asked for.
    """

    model: keras.Model
    players: tuple[Player, ...]
    step: tf.Variable
    plateau: tf.Variable
    scale: LossScale | None
    average: WeightAverage | None
    last_gradients: tuple[tuple[tf.Variable, ...], ...]

    def trackables(self) -> dict[str, Any]:
        """Returns what a checkpoint of the training holds."""
        found: dict[str, Any] = {
            "model": self.model,
            "optimizers": [player.optimizer for player in self.players],
            "step": self.step,
            "plateau": self.plateau,
            "generators": random_generators(self.model),
        }
        if self.scale is not None:
            found["loss_scale"] = self.scale
        if self.average is not None:
            found["average"] = self.average
        return found


def seed_keras(seed: int) -> None:
    """Makes the next model a function of the seed: no other model of the process leaves a trace.

    To be called outside a strategy's scope.
    """
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    # Generators that are variables: a checkpoint can hold them, unlike the state of random ops.
    keras.backend.experimental.enable_tf_random_generator()


def build_model(task: Task, feature_spec: Mapping[str, Any], precision: str) -> keras.Model:
    """Builds a task's model in a precision, such as `mixed_bfloat16`."""
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(precision)
    try:
        return task.build_model(feature_spec)
    finally:
        keras.mixed_precision.set_global_policy(before)


def build_state(
    task: Task,
    feature_spec: Mapping[str, Any],
    config: TrainConfig,
    initial: Weights | None = None,
) -> TrainState:
    """Builds the state of a training at its first step; call it under the strategy's scope.

    Args:
        initial: weights to begin with; None for the model's own.

    Raises:
        ValueError: if a pattern fits no variable, or all variables of a phase are frozen.
    """
    model = build_model(task, feature_spec, config.precision)
    if initial is not None:
        begin_with(model, initial)
    phases = task.phases(model)
    check_patterns("train.regularization", config.regularization, _variables(phases))
    shared = [phase for phase in phases if phase.optimizer is None]
    check_patterns("train.optimizer.groups", config.optimizer.groups, _variables(shared))
    players = []
    for phase in phases:
        section = phase.optimizer or config.optimizer
        free = split_frozen(section.groups, phase.variables)
        players.append(Player(phase, Optimizer(section, free), section.learning_rate))
    once = tf.VariableAggregation.ONLY_FIRST_REPLICA
    gradients: tuple[tuple[tf.Variable, ...], ...] = ()
    if config.callbacks.tensorboard.histograms:
        gradients = tuple(
            tuple(
                tf.Variable(tf.zeros(v.shape, v.dtype), trainable=False)
                for v in player.optimizer.targets
            )
            for player in players
        )
    return TrainState(
        model=model,
        players=tuple(players),
        step=tf.Variable(0, dtype=tf.int64, trainable=False, aggregation=once, name="step"),
        plateau=tf.Variable(1.0, trainable=False, aggregation=once, name="plateau"),
        scale=LossScale() if config.precision == "mixed_float16" else None,
        average=(
            WeightAverage(model.trainable_variables, config.ema.momentum) if config.ema else None
        ),
        last_gradients=gradients,
    )


def _variables(phases: Sequence[Phase]) -> list[tf.Variable]:
    return [variable for phase in phases for variable in phase.variables]


def random_generators(model: keras.Model) -> list[tf.random.Generator]:
    """Returns the generators that layers such as Dropout draw from.

    Keras keeps them out of the checkpoint of a model; without them a training that resumes would
    drop other units than one that was not interrupted.
    """
    layers = [part for part in model.submodules if isinstance(part, keras.layers.Layer)]
    holders = [getattr(layer, "_random_generator", None) for layer in layers]
    found = [getattr(holder, "_generator", None) for holder in holders]
    return [generator for generator in found if generator is not None]
