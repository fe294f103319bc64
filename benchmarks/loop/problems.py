"""The problems that loops are timed on, and what ours promises there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Target:
    """Ours is at least `ratio` times as fast as `loop`; 1 means not behind beyond the noise.

    Ours at its best number of steps a call; against Orbit, at Orbit's.
    """

    loop: str
    ratio: float


@dataclass(frozen=True)
class Problem:
    """One network at one batch size.

    Attributes:
        batch_size: rows of a step.
        steps_per_call: of Orbit's loop, and of ours beside it.
        our_steps: values of `steps_per_call` tried with ours, that one first.
        fit_steps: values of `steps_per_execution` tried, 1 first.
        fit_epoch: steps of an epoch of `fit`, a multiple of each of these; the least it can time.
    """

    kind: Literal["mlp", "conv"]
    title: str
    batch_size: int
    steps_per_call: int
    our_steps: tuple[int, ...]
    fit_steps: tuple[int, ...]
    fit_epoch: int
    targets: tuple[Target, ...]


PROBLEMS = (
    Problem(
        kind="mlp",
        title="MLP 64-64-64-10, batch 32",
        batch_size=32,
        steps_per_call=50,
        our_steps=(50, 200),
        fit_steps=(1, 10, 50, 200),
        fit_epoch=1000,
        targets=(
            Target("tutorial", 40.0),
            Target("fit(1)", 4.0),
            Target("fit(best)", 1.2),
            Target("orbit", 1.25),
        ),
    ),
    Problem(
        kind="conv",
        title="conv 32-32-pool-64, dense 128-10 on 8x8, batch 64",
        batch_size=64,
        steps_per_call=10,
        our_steps=(10,),
        fit_steps=(1, 5, 10),
        fit_epoch=50,
        targets=(Target("tutorial", 1.2), Target("fit(best)", 1.0), Target("orbit", 1.0)),
    ),
)
