"""What is known of a step whose numbers are bad, and when a call's numbers call for a search."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from trainer_module.objective import LOSS
from trainer_module.step import GRADIENT_NORM, LOSS_SCALE, SKIPPED

Kind = Literal["weights", "forward", "loss", "gradient", "transform", "update", "explosion", "none"]

_WHERE = {
    "weights": "the weights before the step are not finite",
    "forward": "the forward pass",
    "loss": "the loss",
    "gradient": "the backward pass",
    "transform": "a gradient transform",
    "update": "the optimizer's update",
}


class BadStepError(ArithmeticError):
    """A step's numbers are such that the training must not go on.

    Attributes:
        step: the first bad one, counted from 0; None if the search did not find it.
        finding: where in the step; None if the search did not come to it.
        folder: that holds the step's batch and the weights before it; None if there is none.
    """

    def __init__(
        self,
        message: str,
        step: int | None = None,
        finding: Finding | None = None,
        folder: str | None = None,
    ) -> None:
        super().__init__(message)
        self.step = step
        self.finding = finding
        self.folder = folder


class NonFiniteError(BadStepError, FloatingPointError):
    """The loss or a gradient is not finite."""


@dataclass(frozen=True)
class Bound:
    """What a watched value has to stay within.

    Attributes:
        name: of the value, as a call's values have it: `loss`, `gradient_norm`, or the latter with
            a player's name, `gradient_norm/generator`.
    """

    name: str
    above: float

    def is_passed_by(self, value: float) -> bool:
        return not value <= self.above


class ExplosionError(BadStepError):
    """The loss or the gradient's norm passed the bound that the configuration sets.

    Attributes:
        bound: the one that was passed.
    """

    def __init__(
        self,
        message: str,
        bound: Bound,
        step: int | None = None,
        finding: Finding | None = None,
        folder: str | None = None,
    ) -> None:
        super().__init__(message, step, finding, folder)
        self.bound = bound


@dataclass(frozen=True)
class Finding:
    """Where a step's first number that is not finite was born, or its largest gradient.

    Attributes:
        step: counted from 0, as `state.step` is before it.
        kind: part of the step; `explosion` where all its numbers are finite and the watched value
            is above its bound; `none` where that is within it, too.
        layer: name of the layer, or of the loss.
        tensor: which of its tensors, such as `conv1/kernel gradient`.
        values: how many values of that tensor are bad, or how large they are.
        features: rows of the batch that hold bad values already, by feature.
    """

    step: int
    kind: Kind
    layer: str = ""
    tensor: str = ""
    values: str = ""
    features: dict[str, list[int]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        if not self.layer and self.kind == "none":
            return f"step {self.step}: every number of the step is finite"
        text = f"step {self.step}, layer {self.layer}, {self.tensor}: {self.values}"
        if self.kind in _WHERE and self.kind != "weights":
            text += f", first in {_WHERE[self.kind]}"
        for name, rows in self.features.items():
            shown = ", ".join(map(str, rows[:10])) + (", ..." if len(rows) > 10 else "")
            text += f"; feature {name} of the batch is not finite in rows {shown}"
        if self.kind == "weights":
            text += f"; {_WHERE['weights']}: the update before it made them so"
        return text


def is_finite(values: Mapping[str, float]) -> bool:
    """Says whether a call's loss and gradients are as finite as they have to be.

    Under loss scaling a gradient may overflow: its step is skipped, and the scale halved. Once
    the scale is down to 1 there is nothing left to lower, and the gradient itself is at fault.
    """
    if LOSS_SCALE in values and values[LOSS_SCALE] <= 1.0 and values[SKIPPED] > 0.0:
        return False
    watched = [LOSS] if LOSS_SCALE in values else [LOSS, GRADIENT_NORM]
    return all(
        math.isfinite(value) for name, value in values.items() if name.partition("/")[0] in watched
    )


def count_bad(values: np.ndarray) -> str:
    """Describes what of an array is not finite; empty if all of it is."""
    if values.dtype.kind not in "fcV":
        return ""
    values = values.astype(np.float32) if values.dtype.kind == "V" else values
    nans = int(np.count_nonzero(np.isnan(values)))
    infinite = int(np.count_nonzero(np.isinf(values)))
    if not nans and not infinite:
        return ""
    return f"{nans} nan and {infinite} infinite of {values.size} values"


def bad_rows(batch: Mapping[str, np.ndarray]) -> dict[str, list[int]]:
    """Returns the rows that are not finite, by feature; a feature that is finite is left out."""
    found = {}
    for name, values in batch.items():
        if values.dtype.kind != "f":
            continue
        finite = np.isfinite(values.reshape(len(values), -1)).all(axis=1)
        if not finite.all():
            found[name] = np.flatnonzero(~finite).tolist()
    return found
