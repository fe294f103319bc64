"""The features of the training engine, and what each strategy makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STRATEGIES = ("default", "mirrored", "multi_worker", "parameter_server", "tpu")

_PS, _TPU = "parameter_server", "tpu"


@dataclass(frozen=True)
class Feature:
    """A row of the table in docs/training.md.

    Attributes:
        changes: keys of `train` that turn it on.
        tolerance: largest difference of a call's loss from one device's, absolute; None where
            the loss means nothing under that feature.
        refused: by strategy, the key at fault.
        task: class in `task.py`, and its options.
        changes_numbers: whether it makes other losses, or evaluations, than without it.
        leaves: files that it writes, parts of their paths.
        ends: what `stopped` says, if the feature ends the training.
        is_local: whether it is the same on every device and asks nothing of the others: but for
            one device only the slow tests try it.
        is_in_ps_job: whether the job of `cluster/test_parameter_server.py` has it on: under that
            strategy only the slow tests try it alone.
    """

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    tolerance: float | None = 1e-5
    refused: Mapping[str, str] = field(default_factory=dict)
    task: tuple[str, Mapping[str, Any]] = ("TwoHeads", {})
    changes_numbers: bool = True
    leaves: tuple[str, ...] = ()
    ends: str | None = None
    is_local: bool = False
    is_in_ps_job: bool = False

    def is_slow(self, strategy: str) -> bool:
        """Returns whether only the slow tests try the feature under a strategy."""
        if strategy == _PS and self.is_in_ps_job:
            return True
        return self.is_local and strategy not in ("default", _TPU)


def _transform(name: str, **options: float) -> dict[str, Any]:
    return {"name": f"trainer_module.gradients.{name}", "options": options}


FEATURES = (
    Feature("float32, several steps a call", changes_numbers=False),
    Feature("one step a call", {"steps_per_call": 1}, changes_numbers=False),
    Feature(
        "steps per call by measuring",
        {"steps_per_call": "auto"},
        refused={_PS: "steps_per_call"},
        changes_numbers=False,
    ),
    Feature("accumulation", {"accumulate": 4}, changes_numbers=False, is_in_ps_job=True),
    Feature("clipping by value", {"clip": {"by": "value", "at": 0.01}}, is_local=True),
    Feature("clipping by norm", {"clip": {"by": "norm", "at": 0.05}}, is_local=True),
    Feature(
        "clipping by global norm", {"clip": {"by": "global_norm", "at": 0.05}}, is_in_ps_job=True
    ),
    Feature(
        "mixed_float16", {"precision": "mixed_float16"}, 1e-2, {_PS: "precision", _TPU: "precision"}
    ),
    Feature("mixed_bfloat16", {"precision": "mixed_bfloat16"}, 1e-2, is_in_ps_job=True),
    Feature("XLA", {"xla": True}, 1e-4, {_PS: "xla"}, changes_numbers=False, is_local=True),
    Feature("moving average of the weights", {"ema": {"momentum": 0.9}}, is_in_ps_job=True),
    Feature(
        "gradient transforms",
        {
            "gradient_transforms": [
                _transform("Centralization"),
                _transform("Scale", factor=0.5),
                _transform("Noise", stddev=0.01),
            ]
        },
    ),
    Feature("regularization", {"regularization": [{"l1": 1e-4, "l2": 1e-3}]}, is_local=True),
    Feature("add_loss terms", task=("TwoHeads", {"penalty": 1e-3}), tolerance=1e-4),
    Feature(
        "class and example weights",
        {"class_weights": {"class": {0: 2.0, 3: 0.5}}, "example_weight": "weight"},
    ),
    Feature("losses by name", {"losses": {"ink": "absolute_error"}}, is_local=True),
    Feature(
        "metrics",
        {
            "metrics": {
                "class": ["accuracy", "top_3", "precision", "recall", "f1"],
                "ink": ["mse", "mae"],
                "bright": ["accuracy", "auc", "precision", "recall", "f1"],
            }
        },
        changes_numbers=True,
    ),
    Feature(
        "SGD",
        {"optimizer": {"name": "sgd", "learning_rate": 0.05, "nesterov": True}},
        is_local=True,
    ),
    Feature("Adam", {"optimizer": {"name": "adam"}}, is_local=True),
    Feature("AdamW", {"optimizer": {"name": "adamw", "weight_decay": 0.1}}),
    Feature("RMSprop", {"optimizer": {"name": "rmsprop", "momentum": 0.5}}, is_local=True),
    Feature(
        "parameter groups",
        {
            "optimizer": {
                "groups": [
                    {"pattern": "^hidden", "frozen": True},
                    {"pattern": "^class", "learning_rate_factor": 0.1, "weight_decay": 0.2},
                ]
            }
        },
        is_local=True,
    ),
    Feature(
        "constant rate", {"schedule": {"kind": "constant", "warmup_epochs": 0.0}}, is_local=True
    ),
    Feature(
        "piecewise rate",
        {"schedule": {"kind": "piecewise", "boundaries": [1], "factors": [0.1]}},
        is_local=True,
    ),
    Feature(
        "exponential rate", {"schedule": {"kind": "exponential", "decay_rate": 0.5}}, is_local=True
    ),
    Feature(
        "cosine rate after warmup",
        {"schedule": {"kind": "cosine", "warmup_epochs": 0.5}},
        is_local=True,
    ),
    Feature(
        "reduce on plateau", {"plateau": {"patience": 1, "min_delta": 9.0}}, changes_numbers=False
    ),
    Feature(
        "early stopping",
        {"callbacks": {"early_stop": {"patience": 1, "min_delta": 9.0}}},
        changes_numbers=False,
        ends="no better than",
    ),
    Feature(
        "stop on explosion",
        {"callbacks": {"stop_on_explosion": {"above": 1e9}}},
        changes_numbers=False,
    ),
    Feature(
        "time budget",
        {"callbacks": {"time_budget_minutes": 10.0}},
        changes_numbers=False,
        is_local=True,
    ),
    Feature(
        "CSV",
        {"callbacks": {"csv": True}},
        changes_numbers=False,
        leaves=("history.csv",),
        is_local=True,
    ),
    Feature(
        "TensorBoard",
        {"callbacks": {"tensorboard": {"graph": True}}},
        changes_numbers=False,
        leaves=("tensorboard/train/events", "tensorboard/graph/"),
    ),
    Feature(
        "TensorBoard histograms",
        {"callbacks": {"tensorboard": {"histograms": True}}},
        refused={_PS: "callbacks.tensorboard.histograms"},
        changes_numbers=False,
        leaves=("tensorboard/train/events",),
        is_local=True,
    ),
    Feature(
        "layer report",
        {"debug": {"layer_report": True}},
        refused={_PS: "debug.layer_report"},
        changes_numbers=False,
        leaves=("layers.csv",),
        is_local=True,
    ),
    Feature(
        "checkpoints in mid-epoch",
        {"checkpoint": {"every_steps": 5, "keep": 3}},
        changes_numbers=False,
        leaves=("latest/step-0000000015", "best/step-"),
    ),
    Feature("two optimizers by turns", task=("Duel", {}), tolerance=1e-4),
    Feature(
        "eager",
        {"debug": {"eager": True}},
        refused={"multi_worker": "debug.eager", _PS: "debug.eager", _TPU: "debug.eager"},
        changes_numbers=False,
    ),
)
