"""Goes back to the latest checkpoint and takes the steps again, until the first bad one."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from trainer_module.numerics.finding import Finding, NonFiniteError, is_finite
from trainer_module.numerics.replay import diagnose
from trainer_module.numerics.snapshot import REPORT, Origin, Snapshot, take, write
from trainer_module.progress import emit

if TYPE_CHECKING:
    from trainer_module.callbacks import Training
    from trainer_module.checkpoint import Checkpoints
    from trainer_module.engine import Engine

FOLDER = "nonfinite"
"""Of a training's folder: holds a folder for each step that was found bad."""


def locate(
    training: Training,
    engine: Engine,
    checkpoints: Checkpoints,
    first: int,
    steps: int,
    values: Mapping[str, float],
) -> NonFiniteError:
    """Returns the error that says where in a call's steps the first bad number was born.

    The training goes no further: its state is that of the bad step. Every worker of a cluster
    calls this, and comes to the same; the chief writes.

    Args:
        first: step of the call, counted from 0.
        steps: of the call.
        values: means over them.
    """
    bad = ", ".join(f"{name} {value}" for name, value in values.items() if not math.isfinite(value))
    known = f"steps {first} to {first + steps - 1}: {bad or 'gradients overflow at loss scale 1'}"
    if training.config.strategy == "parameter_server":
        return NonFiniteError(
            f"{known}; under strategy 'parameter_server' steps cannot be taken again in the same "
            "order: run the job with strategy 'default' to have the step and the layer named"
        )
    if training.is_chief:
        emit("warning", text=f"{known}: the steps since the checkpoint are taken again")
    snapshot = _first_bad_step(training, engine, checkpoints, first, steps)
    if snapshot is None:
        return NonFiniteError(
            f"{known}; taken again from the checkpoint, every number of these steps is finite: "
            "the computation is not the same twice (try train.debug.deterministic)"
        )
    return _report(training, snapshot, known)


def _first_bad_step(
    training: Training, engine: Engine, checkpoints: Checkpoints, first: int, steps: int
) -> Snapshot | None:
    """Takes the steps again, one by one in the call; returns the state before the bad one."""
    checkpoints.restore_latest()
    runner, state = engine.runner, engine.state
    done = int(state.step.numpy())
    runner.begin(done, steps)
    while done < first:
        to_epoch_end = training.steps_per_epoch - done % training.steps_per_epoch
        n = min(steps, to_epoch_end, first - done)
        runner.train(n)
        done += n
    runner.begin(first, 1)
    before = take(state)
    for _ in range(steps):
        values = engine.functions.train_layout.read(runner.train(1), 1)
        after = take(state)
        if not is_finite(values) or not after.has_finite_weights():
            return before
        before = after
    return None


def _report(training: Training, snapshot: Snapshot, known: str) -> NonFiniteError:
    """Writes the step's folder and names the layer."""
    origin = Origin(
        task=training.task.config,
        config=training.config,
        feature_spec=training.feature_spec,
        steps_per_epoch=training.steps_per_epoch,
        total_steps=training.total_steps,
    )
    batch = training.read_batch(snapshot.step)
    folder = Path(training.folder) / FOLDER / f"step-{snapshot.step}"
    partial = folder.with_name(f".partial-{folder.name}")
    if training.is_chief:
        write(partial, origin, snapshot, batch)
    finding, reason = None, ""
    try:
        finding = diagnose(training.task, origin, snapshot, batch)
    except Exception as error:
        # What is known is worth more than a second failure.
        reason = f"step {snapshot.step}; taking it again on one device failed: {error!r}"
    if finding is not None and finding.kind == "none":
        reason = (
            f"step {snapshot.step}; taken again eagerly on one device, every number of it is "
            "finite: the kernels or the order of sums of the training differ from that"
        )
    if training.is_chief:
        report = finding or Finding(snapshot.step, "none")
        (partial / REPORT).write_text(json.dumps(report.as_json(), indent=1), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    return NonFiniteError(
        f"{known}; the first bad one is {reason or finding}. Its batch and the weights before it "
        f"are in {folder}; to take the step again: python -m trainer_module replay {folder}",
        step=snapshot.step,
        finding=finding,
        folder=str(folder),
    )
