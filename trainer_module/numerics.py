"""Finds where a number that is not finite was born: which step, which layer, which tensor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from trainer_module.objective import LOSS
from trainer_module.step import GRADIENT_NORM, LOSS_SCALE

if TYPE_CHECKING:
    from trainer_module.callbacks import Training
    from trainer_module.checkpoint import Checkpoints
    from trainer_module.engine import Engine


class NonFiniteError(FloatingPointError):
    """The loss or a gradient is not finite."""


def is_finite(values: Mapping[str, float]) -> bool:
    """Says whether a call's loss and gradients are finite.

    Under loss scaling a gradient may overflow: its step is skipped, and the scale lowered.
    """
    watched = [LOSS] if LOSS_SCALE in values else [LOSS, GRADIENT_NORM]
    return all(
        math.isfinite(value) for name, value in values.items() if name.partition("/")[0] in watched
    )


def locate(
    training: Training,
    engine: Engine,
    checkpoints: Checkpoints,
    first: int,
    steps: int,
    values: Mapping[str, float],
) -> NonFiniteError:
    """Returns the error that says where in a call's steps the first bad number was born."""
    bad = ", ".join(f"{name} {value}" for name, value in values.items() if not math.isfinite(value))
    return NonFiniteError(f"steps {first} to {first + steps - 1}: {bad}")
