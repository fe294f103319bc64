"""Puts the parts of a training together: state, objective, step and runner, under a strategy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
import tf_keras as keras

from trainer_module.config import TrainConfig
from trainer_module.data import Augment, Split
from trainer_module.data.arrays import Arrays
from trainer_module.gradients import load_transforms
from trainer_module.objective import Objective
from trainer_module.parameter_server import CoordinatorRunner
from trainer_module.runner import Runner, SynchronousRunner
from trainer_module.schedules import make_schedule
from trainer_module.state import TrainState, build_state, seed_keras
from trainer_module.step import ReplicaStep, StepFunctions, build_step_functions
from trainer_module.strategy import Place
from trainer_module.tasks.base import RESERVED_SIGNATURES, Task, float32
from trainer_module.warm_start import Weights


@dataclass(frozen=True)
class Engine:
    """A training that is ready to run."""

    state: TrainState
    functions: StepFunctions
    runner: Runner


def build_engine(
    task: Task,
    feature_spec: Mapping[str, Any],
    train_split: Split,
    eval_split: Split,
    config: TrainConfig,
    strategy: tf.distribute.Strategy,
    place: Place,
    augment: Augment | None,
    initial: Weights | None,
) -> Engine:
    """Builds a training at its first step.

    Raises:
        ValueError: if the task does not keep to its interface, or the configuration names what is
            not there.
    """
    steps_per_epoch = train_split.rows // config.batch_size
    total_steps = steps_per_epoch * config.epochs
    transforms = load_transforms(config.gradient_transforms)
    seed_keras(config.seed)
    with strategy.scope():
        state = build_state(task, feature_spec, config, initial)
        sample = eval_split.head(1)
        outputs = check_model(task, state.model, sample)
        objective = Objective(task, config, outputs, sample)
        step = ReplicaStep(state, objective, config, transforms, strategy.num_replicas_in_sync)
        functions = build_step_functions(
            step,
            state,
            objective,
            make_schedule(config.schedule, steps_per_epoch, total_steps),
            strategy,
        )
    runner: Runner
    if config.strategy == "parameter_server":
        runner = CoordinatorRunner(
            functions,
            state,
            strategy,
            place.workers,
            config,
            train_split,
            eval_split,
            total_steps,
            augment,
        )
    else:
        runner = SynchronousRunner(
            functions, strategy, place, config, train_split, eval_split, total_steps, augment
        )
    return Engine(state, functions, runner)


def check_model(task: Task, model: keras.Model, rows: Arrays) -> dict[str, tf.Tensor]:
    """Holds a task's model to the interface, on some rows, before any work goes into it.

    Returns:
        The model's outputs for the rows.

    Raises:
        ValueError: if an output that the interface asks for is missing, what the task says to
            Classify or Regress has not their form, or a signature of its own has a reserved name.
    """
    outputs = model({name: tf.constant(values) for name, values in rows.items()}, training=False)
    wanted = {*(head.name for head in task.heads), "embedding"}
    if not isinstance(outputs, Mapping) or not wanted <= set(outputs):
        found = sorted(outputs) if isinstance(outputs, Mapping) else type(outputs).__name__
        raise ValueError(f"the model's outputs: found {found}; expected a dict of {sorted(wanted)}")
    served = task.serving_outputs(outputs)
    missing = sorted({head.served for head in task.heads} - set(served))
    if missing:
        raise ValueError(f"serving_outputs: found {sorted(served)}; {missing} of the heads missing")
    widened = float32(outputs)
    _check_methods(task, widened)
    taken = sorted(set(task.signatures(model)) & set(RESERVED_SIGNATURES))
    if taken:
        raise ValueError(
            f"signatures: found {', '.join(taken)}; allowed: other names than "
            f"{', '.join(RESERVED_SIGNATURES)}, which say the same of every model"
        )
    return widened


def _check_methods(task: Task, outputs: Mapping[str, tf.Tensor]) -> None:
    """Holds what a task says to Classify and Regress to the form that TF Serving demands."""
    classification, value = task.classification(outputs), task.regression(outputs)
    rows = outputs["embedding"].shape[0]
    if value is not None and (value.dtype != tf.float32 or value.shape != [rows]):
        raise ValueError(f"regression: found {_form(value)}; expected float32 of shape [b]")
    if classification is None:
        return
    classes, scores = classification.classes, classification.scores
    found = (classes.dtype, scores.dtype, scores.shape[:1], scores.shape.rank, scores.shape)
    if found != (tf.string, tf.float32, [rows], 2, classes.shape):
        raise ValueError(
            f"classification: found classes {_form(classes)} and scores {_form(scores)}; "
            "expected string and float32, both of shape [b, n]"
        )


def _form(value: tf.Tensor) -> str:
    return f"{value.dtype.name} of shape {value.shape.as_list()}"
