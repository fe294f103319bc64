"""A step as it can be taken again: its batch, the state before it, and what built the model."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from trainer_module.config import TaskConfig, TrainConfig
from trainer_module.data import Arrays
from trainer_module.numerics.finding import Bound
from trainer_module.state import TrainState, random_generators

_BATCH = "batch.npz"
_WEIGHTS = "weights.npz"
_STATE = "state.npz"
_TRAINING = "training.json"
REPORT = "report.json"


@dataclass(frozen=True)
class Origin:
    """What a training is made of, as far as its steps depend on it.

    Attributes:
        task: None for one that no configuration made; a replay is then given the task.
        bound: that a saved step is to be held to, besides that its numbers be finite.
    """

    task: TaskConfig | None
    config: TrainConfig
    feature_spec: Mapping[str, Any]
    steps_per_epoch: int
    total_steps: int
    bound: Bound | None = None


@dataclass(frozen=True)
class Snapshot:
    """Host copies of a training's state before a step.

    Attributes:
        weights: by the variable's name, behind its place in the model.
        state: random generators, the optimizers' slots and counts, the plateau's factor and the
            loss scale.
    """

    step: int
    weights: dict[str, np.ndarray]
    state: dict[str, np.ndarray]

    def has_finite_weights(self) -> bool:
        return all(np.isfinite(values).all() for values in self.weights.values())


def take(state: TrainState) -> Snapshot:
    """Copies a state; under a cluster every worker has to call it.

    Of a variable that the replicas have their own of, such as a random generator, the copy is the
    first replica's.
    """
    return Snapshot(
        step=int(state.step.numpy()),
        weights={name: _first(variable) for name, variable in _weights(state).items()},
        state={name: _first(variable) for name, variable in _others(state).items()},
    )


def put(snapshot: Snapshot, state: TrainState) -> None:
    """Sets a state, on one device, to a snapshot."""
    for name, variable in _weights(state).items():
        variable.assign(snapshot.weights[name])
    for name, variable in _others(state).items():
        variable.assign(snapshot.state[name])
    state.step.assign(snapshot.step)


def write(folder: Path, origin: Origin, snapshot: Snapshot, batch: Arrays) -> None:
    """Writes all that takes the step again to a new folder, in place of one that is there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    np.savez(folder / _BATCH, **{name: _plain(values) for name, values in batch.items()})
    np.savez(folder / _WEIGHTS, **snapshot.weights)
    np.savez(folder / _STATE, **snapshot.state)
    training = {
        "step": snapshot.step,
        "task": origin.task.model_dump(mode="json") if origin.task else None,
        "train": origin.config.model_dump(mode="json"),
        "feature_spec": {
            name: {
                "shape": list(spec.shape),
                "dtype": spec.dtype.name,
            }
            for name, spec in origin.feature_spec.items()
        },
        "steps_per_epoch": origin.steps_per_epoch,
        "total_steps": origin.total_steps,
        "bound": dataclasses.asdict(origin.bound) if origin.bound else None,
    }
    (folder / _TRAINING).write_text(json.dumps(training, indent=1), encoding="utf-8")


def read(folder: Path) -> tuple[Origin, Snapshot, Arrays]:
    """Reads what `write` wrote.

    Raises:
        ValueError: if the folder is none of these.
    """
    try:
        training = json.loads((folder / _TRAINING).read_text(encoding="utf-8"))
        batch, weights, state = (_load(folder / name) for name in (_BATCH, _WEIGHTS, _STATE))
    except FileNotFoundError as error:
        raise ValueError(
            f"{folder}: found no {Path(error.filename).name}; allowed: a folder that a training "
            "wrote when its numbers went bad"
        ) from error
    task, bound = training["task"], training.get("bound")
    origin = Origin(
        task=TaskConfig.model_validate(task) if task else None,
        config=TrainConfig.model_validate_json(json.dumps(training["train"])),
        feature_spec={
            name: tf.io.FixedLenFeature(spec["shape"], tf.as_dtype(spec["dtype"]))
            for name, spec in training["feature_spec"].items()
        },
        steps_per_epoch=training["steps_per_epoch"],
        total_steps=training["total_steps"],
        bound=Bound(**bound) if bound else None,
    )
    return origin, Snapshot(training["step"], weights, state), batch


def _weights(state: TrainState) -> dict[str, tf.Variable]:
    return _numbered("", state.model.weights)


def _others(state: TrainState) -> dict[str, tf.Variable]:
    found = {"plateau": state.plateau}
    found |= _numbered("generator/", [g.state for g in random_generators(state.model)])
    for number, player in enumerate(state.players):
        optimizer = player.optimizer
        variables = [optimizer.updates, *tf.nest.flatten(optimizer.slots)]
        found |= _numbered(f"optimizer/{number}/", variables)
    if state.scale is not None:
        found["loss_scale"] = state.scale.scale
    return found


def _numbered(prefix: str, variables: Sequence[tf.Variable]) -> dict[str, tf.Variable]:
    return {
        f"{prefix}{place:04d}/{variable.name.partition(':')[0]}": variable
        for place, variable in enumerate(variables)
    }


def _first(variable: tf.Variable) -> np.ndarray:
    if variable.dtype.is_floating:
        return variable.numpy()
    strategy = tf.distribute.get_strategy()
    return strategy.experimental_local_results(variable)[0].numpy()


def _plain(values: np.ndarray) -> np.ndarray:
    """Returns texts as fixed-width bytes: files of arrays hold no objects."""
    return values.astype(bytes) if values.dtype == object else values


def _load(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays}
