"""Takes a saved step again, eagerly and on one device, watching every layer on the way."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from trainer_module.config import TrainConfig
from trainer_module.data import Arrays
from trainer_module.engine import check_model, load_transforms
from trainer_module.gradients import clip
from trainer_module.numerics.finding import Bound, Finding, bad_rows, count_bad
from trainer_module.numerics.layer_trace import LayerCall, LayerTrace, layer_of
from trainer_module.numerics.snapshot import Origin, Snapshot, put, read
from trainer_module.objective import LOSS, Objective
from trainer_module.optimizers import variable_name
from trainer_module.schedules import make_schedule
from trainer_module.state import Player, TrainState, build_state, seed_keras
from trainer_module.tasks import make_task
from trainer_module.tasks.base import Task, Tensors


def replay(folder: str, task: Task | None = None) -> Finding:
    """Takes the step that a training saved, and finds where its numbers go bad.

    The folder alone says all that the step depends on, but for the code.

    Args:
        folder: `<training>/nonfinite/step-<n>`, or `<training>/explosion/step-<n>`.
        task: None to make the one that the folder names.

    Raises:
        ValueError: if the folder is none of these, or holds no task and none is given.
    """
    origin, snapshot, batch = read(Path(folder))
    if task is None:
        if origin.task is None:
            raise ValueError(
                f"{folder}: found a task that no configuration made; allowed: replay from "
                "Python, replay(folder, task)"
            )
        task = make_task(origin.task)
    return diagnose(task, origin, snapshot, batch)


def diagnose(task: Task, origin: Origin, snapshot: Snapshot, batch: Arrays) -> Finding:
    """As `replay`, for a step that is at hand.

    Runs in a thread of its own, which a strategy of this one does not reach.
    """
    result: list[Finding | Exception] = []

    def run() -> None:
        try:
            result.append(_Step(task, origin, snapshot, batch).find())
        except Exception as error:
            result.append(error)

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        thread = threading.Thread(target=run, name="diagnosis")
        thread.start()
        thread.join()
    finally:
        tf.config.run_functions_eagerly(before)
    found = result[0]
    if isinstance(found, Exception):
        raise found
    return found


@dataclass(frozen=True)
class _Size:
    """How large the numbers of a player's step are.

    Attributes:
        losses: parts that the loss is the sum of.
        norms: of the gradients of `targets`, before transforms and clipping.
    """

    loss: float
    losses: Mapping[str, float]
    targets: Sequence[tf.Variable]
    norms: Sequence[float]


class _Step:
    """One step of a training, taken the slow way."""

    def __init__(self, task: Task, origin: Origin, snapshot: Snapshot, batch: Arrays) -> None:
        self._config: TrainConfig = origin.config
        self._bound = origin.bound
        self._sizes: dict[str, _Size] = {}
        self._snapshot = snapshot
        self._batch = batch
        seed_keras(self._config.seed)
        self._state: TrainState = build_state(task, origin.feature_spec, self._config)
        sample = {name: values[:1] for name, values in batch.items()}
        outputs = check_model(task, self._state.model, sample)
        self._objective = Objective(task, self._config, outputs, sample)
        put(snapshot, self._state)
        self._trace = LayerTrace(self._state.model)
        self._step = tf.constant(snapshot.step, tf.int64)
        schedule = make_schedule(self._config.schedule, origin.steps_per_epoch, origin.total_steps)
        self._factor = schedule(self._step) * self._state.plateau

    def find(self) -> Finding:
        for name, values in self._snapshot.weights.items():
            if found := count_bad(values):
                variable = name.partition("/")[2]
                return self._finding("weights", variable.rpartition("/")[0], variable, found)
        features = {name: tf.constant(values) for name, values in self._batch.items()}
        for player in self._state.players:
            for _ in range(player.phase.repeats):
                finding = self._take(player, features)
                if finding is not None:
                    return finding
        return self._finding("none") if self._bound is None else self._largest(self._bound)

    def _take(self, player: Player, features: Tensors) -> Finding | None:
        """Forward, backward and update of a player; None if all is finite."""
        targets = list(player.optimizer.targets)
        scale = 1.0 if self._state.scale is None else self._state.scale.read()
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(targets)
            self._trace.begin(tape)
            forward = player.phase.forward(features)
            loss, sums, _ = self._objective.minimize(
                player.phase, forward, features, self._config.batch_size, 1
            )
            scaled = loss * scale
        calls = list(self._trace.calls)
        if count_bad(loss.numpy()):
            return self._in_forward(calls, list(player.phase.losses), sums.numpy(), loss.numpy())
        ends = [(call.inputs, call.outputs) for call in calls]
        of_targets, of_ends = tape.gradient(scaled, (targets, ends))
        gradients = [tf.convert_to_tensor(gradient) / scale for gradient in of_targets]
        if any(count_bad(gradient.numpy()) for gradient in gradients):
            return self._in_backward(calls, of_ends, targets, gradients)
        self._sizes[player.phase.name] = self._size(player, loss, sums, gradients)
        return self._in_update(player, targets, gradients)

    def _size(
        self, player: Player, loss: tf.Tensor, sums: tf.Tensor, gradients: Sequence[tf.Tensor]
    ) -> _Size:
        weighed = zip(player.phase.losses.items(), sums.numpy().tolist(), strict=True)
        losses = {name: w * value / self._config.batch_size for (name, w), value in weighed}
        total = float(loss)
        losses["penalties"] = total - sum(losses.values())
        norms = [float(np.linalg.norm(g.numpy().astype(np.float64))) for g in gradients]
        return _Size(total, losses, list(player.optimizer.targets), norms)

    def _largest(self, bound: Bound) -> Finding:
        """Names the largest gradient of the players that the bound is set for."""
        wanted = bound.name.partition("/")[2]
        sizes = [size for name, size in self._sizes.items() if wanted in ("", name)]
        found = [pair for size in sizes for pair in zip(size.norms, size.targets, strict=True)]
        norm, variable = max(found, key=lambda pair: pair[0])
        value = float(np.linalg.norm([norm for norm, _ in found]))
        text = f"norm {norm:.6g}, the largest of the step's gradients; "
        if bound.name == LOSS:
            value = sum(size.loss for size in sizes)
            losses = [pair for size in sizes for pair in size.losses.items()]
            name, largest = max(losses, key=lambda pair: pair[1])
            text += f"the largest part of the loss is {name}, {largest:.6g}; "
        passed = bound.is_passed_by(value)
        text += f"{bound.name} {value:.6g} is {'above' if passed else 'within'} {bound.above:g}"
        kind = "explosion" if passed else "none"
        return self._of_variable(kind, "gradient of", variable, text)

    def _in_forward(
        self, calls: Sequence[LayerCall], names: list[str], sums: np.ndarray, loss: np.ndarray
    ) -> Finding:
        born = self._first_in_forward(calls)
        if born is not None:
            return born
        for name, value in zip(names, sums, strict=True):
            if bad := count_bad(value):
                return self._finding("loss", f"loss {name}", "sum over the batch", bad)
        return self._finding("loss", "loss", "penalties", count_bad(loss))

    def _first_in_forward(self, calls: Sequence[LayerCall]) -> Finding | None:
        """Returns the first layer that gives bad values, or that gets them from the batch."""
        for call in calls:
            # A model gets all features of the batch, labels too: only a layer uses its input.
            if call.is_leaf and (bad := _first_bad(call.inputs)):
                return self._finding("forward", call.layer.name, "input", bad)
            if bad := _first_bad(call.outputs):
                return self._finding("forward", call.layer.name, "output", bad)
        return None

    def _in_backward(
        self,
        calls: Sequence[LayerCall],
        ends: Sequence[tuple[list, list]],
        targets: Sequence[tf.Variable],
        gradients: Sequence[tf.Tensor],
    ) -> Finding:
        """Goes backwards to the first layer that gets finite gradients and gives bad ones.

        A layer that has layers inside is named only if none of those is at fault. Where bad
        values came into that layer, they were born before it: a rectifier may hide them from the
        loss, which makes 0 of nan on some devices.
        """
        bad_variables = {
            id(variable): bad
            for variable, gradient in zip(targets, gradients, strict=True)
            if (bad := count_bad(gradient.numpy()))
        }
        pairs = list(zip(calls, ends, strict=True))[::-1]
        for leaves in (True, False):
            for call, (of_inputs, of_outputs) in pairs:
                if call.is_leaf is not leaves or _first_bad(of_outputs):
                    continue
                own = [v for v in call.variables if id(v) in bad_variables]
                bad = bad_variables[id(own[0])] if own else _first_bad(of_inputs)
                if not bad:
                    continue
                if _first_bad(call.inputs) and (born := self._first_in_forward(calls)):
                    return born
                which = variable_name(own[0]) if own else "its input"
                return self._finding("gradient", call.layer.name, f"gradient of {which}", bad)
        # What comes into the last layers from the loss is bad already.
        for call, (_, of_outputs) in pairs:
            if call.is_leaf and (bad := _first_bad(of_outputs)):
                tensor = "gradient of the loss with respect to its output"
                return self._finding("gradient", call.layer.name, tensor, bad)
        variable = next(v for v in targets if id(v) in bad_variables)
        return self._of_variable("gradient", "gradient of", variable, bad_variables[id(variable)])

    def _in_update(
        self, player: Player, targets: Sequence[tf.Variable], gradients: list[tf.Tensor]
    ) -> Finding | None:
        norm = tf.linalg.global_norm(gradients)
        if bad := count_bad(norm.numpy()):
            largest = int(np.argmax([np.abs(gradient.numpy()).max() for gradient in gradients]))
            kind = "the norm of all gradients overflows; the largest is that of"
            return self._of_variable("gradient", kind, targets[largest], bad)
        sections = self._config.gradient_transforms
        shaped = gradients
        for section, transform in zip(sections, load_transforms(sections), strict=True):
            shaped = transform(shaped, targets, self._step)
            for variable, gradient in zip(targets, shaped, strict=True):
                if bad := count_bad(tf.convert_to_tensor(gradient).numpy()):
                    what = f"gradient after {section.name} of"
                    return self._of_variable("transform", what, variable, bad)
        shaped = clip(shaped, self._config.clip, tf.linalg.global_norm(shaped))
        player.optimizer.apply(shaped, player.learning_rate * self._factor)
        for variable in targets:
            if bad := count_bad(variable.numpy()):
                return self._of_variable("update", "value after the update of", variable, bad)
        return None

    def _of_variable(self, kind: str, what: str, variable: tf.Variable, bad: str) -> Finding:
        layer = layer_of(self._state.model, variable)
        return self._finding(kind, layer, f"{what} {variable_name(variable)}", bad)

    def _finding(self, kind: str, layer: str = "", tensor: str = "", values: str = "") -> Finding:
        return Finding(
            step=self._snapshot.step,
            kind=kind,  # type: ignore[arg-type]
            layer=layer,
            tensor=tensor,
            values=values,
            features=bad_rows(self._batch),
        )


def _first_bad(tensors: Sequence[tf.Tensor | None]) -> str:
    """Describes the first tensor that is not finite; a gradient that does not exist is finite."""
    for tensor in tensors:
        if tensor is not None and (bad := count_bad(tf.convert_to_tensor(tensor).numpy())):
            return bad
    return ""
