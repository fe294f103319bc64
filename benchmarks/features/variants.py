"""The plain loop with one feature more, each as a loop that can be timed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.loop import tapeline_loop
from benchmarks.loop.problems import Problem
from benchmarks.loop.training import Run

Make = Callable[[Problem, int], Run]

_CENTRALIZATION = {"name": "trainer_module.gradients.Centralization"}
_NOISE = {"name": "trainer_module.gradients.Noise", "options": {"stddev": 0.01}}


def _with(**changes: Any) -> Make:
    def make(problem: Problem, steps_per_call: int) -> Run:
        return tapeline_loop.make(problem, steps_per_call, changes)

    return make


def _watched(changes: Mapping[str, Any]) -> Make:
    def make(problem: Problem, steps_per_call: int) -> Run:
        return tapeline_loop.make(problem, steps_per_call, changes, with_callbacks=True)

    return make


plain = _with()
clip_global_norm = _with(clip={"by": "global_norm", "at": 1.0})
clip_norm = _with(clip={"by": "norm", "at": 1.0})
clip_value = _with(clip={"by": "value", "at": 1.0})
average = _with(ema={"momentum": 0.999})
schedule = _with(schedule={"kind": "cosine", "warmup_epochs": 1.0})
decay = _with(optimizer={"name": "adamw", "learning_rate": 1e-3, "weight_decay": 0.01})
groups = _with(
    optimizer={
        "name": "adam",
        "learning_rate": 1e-3,
        "groups": [{"pattern": "bias", "learning_rate_factor": 0.5}],
    }
)
regularization = _with(regularization=[{"l2": 1e-4}])
centralization = _with(gradient_transforms=[_CENTRALIZATION])
noise = _with(gradient_transforms=[_NOISE])
accumulation = _with(accumulate=2)
bfloat16 = _with(precision="mixed_bfloat16")
float16 = _with(precision="mixed_float16")
layer_report = _with(debug={"layer_report": True})
scalars = _watched({})
callbacks = _watched(
    {
        "plateau": {"patience": 1000},
        "callbacks": {
            "early_stop": {"patience": 1000000},
            "stop_on_explosion": {"above": 1e30},
            "time_budget_minutes": 1e6,
            "csv": True,
        },
    }
)
