"""Goes back to the latest checkpoint and takes the steps again, until the first bad one."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from trainer_module.numerics.finding import (
    Bound,
    ExplosionError,
    Finding,
    NonFiniteError,
    is_finite,
)
from trainer_module.numerics.replay import diagnose
from trainer_module.numerics.snapshot import REPORT, Origin, Snapshot, take, write
from trainer_module.progress import emit

if TYPE_CHECKING:
    from trainer_module.callbacks import Training
    from trainer_module.checkpoint import Checkpoints
    from trainer_module.engine import Engine

NONFINITE, EXPLOSION = "nonfinite", "explosion"
"""Of a training's folder: each holds a folder for every step that was found bad in this way."""

_IN_NO_ORDER = (
    "under strategy 'parameter_server' steps cannot be taken again in the same order: run the job "
    "with strategy 'default' to have the step and the layer named"
)


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
        return NonFiniteError(f"{known}; {_IN_NO_ORDER}")
    if training.is_chief:
        emit("warning", text=f"{known}: the steps since the checkpoint are taken again")
    for before, now, after in _singly(training, engine, checkpoints, first, steps):
        if not is_finite(now) or not after.has_finite_weights():
            finding, text, folder = _report(training, before, NONFINITE)
            return NonFiniteError(
                f"{known}; the first bad one is {text}", before.step, finding, folder
            )
    return NonFiniteError(
        f"{known}; taken again from the checkpoint, every number of these steps is finite: "
        "the computation is not the same twice (try train.debug.deterministic)"
    )


def locate_explosion(
    training: Training,
    engine: Engine,
    checkpoints: Checkpoints,
    first: int,
    steps: int,
    error: ExplosionError,
) -> ExplosionError:
    """As `locate`, for a value whose mean over a call's steps is above its bound.

    Names the first step that is above the bound; where none is, taken again, the step with the
    largest value.

    Args:
        error: what says so.
    """
    bound = error.bound
    if training.config.strategy == "parameter_server":
        return ExplosionError(f"{error}; {_IN_NO_ORDER}", bound)
    if training.is_chief:
        emit("warning", text=f"{error}; the steps since the checkpoint are taken again")
    found: tuple[float, Snapshot] | None = None
    for before, now, _ in _singly(training, engine, checkpoints, first, steps):
        value = now[bound.name]
        if found is None or not value <= found[0]:
            found = value, before
        if bound.is_passed_by(value):
            break
    assert found is not None, "a call has a step"
    value, before = found
    which = "the first above it is"
    if not bound.is_passed_by(value):
        which = "none, taken again, is above it (try train.debug.deterministic); the largest is"
    finding, text, folder = _report(training, before, EXPLOSION, bound)
    return ExplosionError(
        f"{error}. Of these steps {which} {bound.name} {value:.6g} in {text}",
        bound,
        before.step,
        finding,
        folder,
    )


def _singly(
    training: Training, engine: Engine, checkpoints: Checkpoints, first: int, steps: int
) -> Iterator[tuple[Snapshot, dict[str, float], Snapshot]]:
    """Takes the steps since the checkpoint again, and those of the call one by one.

    Yields:
        The state before each step of the call, its values, and the state after it.
    """
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
        yield before, values, after
        before = after


def _report(
    training: Training, snapshot: Snapshot, kind: str, bound: Bound | None = None
) -> tuple[Finding | None, str, str]:
    """Writes the step's folder and names the layer.

    Returns:
        What was found, None if that failed; the same in words, with what to do next; the folder.
    """
    origin = Origin(
        task=training.task.config,
        config=training.config,
        feature_spec=training.feature_spec,
        steps_per_epoch=training.steps_per_epoch,
        total_steps=training.total_steps,
        bound=bound,
    )
    batch = training.read_batch(snapshot.step)
    folder = Path(training.folder) / kind / f"step-{snapshot.step}"
    partial = folder.with_name(f".partial-{folder.name}")
    if training.is_chief:
        write(partial, origin, snapshot, batch)
    finding, reason = None, ""
    try:
        finding = diagnose(training.task, origin, snapshot, batch)
    except Exception as error:
        # What is known is worth more than a second failure.
        reason = f"step {snapshot.step}; taking it again on one device failed: {error!r}"
    if finding is not None and finding.kind == "none" and bound is None:
        reason = (
            f"step {snapshot.step}; taken again eagerly on one device, every number of it is "
            "finite: the kernels or the order of sums of the training differ from that"
        )
    if training.is_chief:
        report = finding or Finding(snapshot.step, "none")
        (partial / REPORT).write_text(json.dumps(report.as_json(), indent=1), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    text = (
        f"{reason or finding}. Its batch and the weights before it are in {folder}; to take the "
        f"step again: python -m trainer_module replay {folder}"
    )
    return finding, text, str(folder)
