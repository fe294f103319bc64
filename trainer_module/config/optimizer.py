"""How gradients become updates: `train.optimizer`, `train.schedule`, `train.clip` and the like."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from trainer_module.config.section import Section


def check_pattern(pattern: str) -> str:
    """Returns a regular expression as it is.

    Raises:
        ValueError: if it is none.
    """
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"allowed: a regular expression ({error})") from error
    return pattern


class GroupConfig(Section):
    """Variables whose names a pattern is found in; the first group that fits has the say."""

    pattern: str = Field(min_length=1, description="searched for in names such as conv1/kernel")
    learning_rate_factor: float = Field(1.0, ge=0)
    weight_decay: float | None = Field(None, ge=0, description="null: the optimizer's")
    frozen: bool = Field(False, description="no updates; gradients still flow through")

    _pattern = field_validator("pattern")(check_pattern)


_OWN_KEYS = {
    "momentum": ("sgd", "rmsprop"),
    "nesterov": ("sgd",),
    "beta_1": ("adam", "adamw"),
    "beta_2": ("adam", "adamw"),
    "rho": ("rmsprop",),
    "epsilon": ("adam", "adamw", "rmsprop"),
}
"""The rules that use a key of the optimizer; every rule uses the others."""


class OptimizerConfig(Section):
    """The rule of an update. Weight decay is decoupled from the gradient under every rule."""

    name: Literal["sgd", "adam", "adamw", "rmsprop"] = "adamw"
    learning_rate: float = Field(1e-3, gt=0, description="peak rate, which the schedule scales")
    weight_decay: float | None = Field(
        None,
        ge=0,
        description="decoupled; not on variables named bias, beta or gamma; "
        "null: 0.0001 for adamw, 0 for the others",
    )
    momentum: float | None = Field(
        None, ge=0, lt=1, description="null: 0.9 for sgd, 0 for rmsprop; no other has it"
    )
    nesterov: bool = Field(False, description="sgd")
    beta_1: float = Field(0.9, ge=0, lt=1, description="adam and adamw")
    beta_2: float = Field(0.999, ge=0, lt=1, description="adam and adamw")
    rho: float = Field(0.9, ge=0, lt=1, description="rmsprop")
    epsilon: float = Field(1e-7, gt=0, description="all but sgd")
    groups: list[GroupConfig] = Field(default_factory=list)

    @model_validator(mode="after")
    def _rule_uses_what_is_set(self) -> OptimizerConfig:
        for key, rules in _OWN_KEYS.items():
            found, default = getattr(self, key), type(self).model_fields[key].default
            # Defaults may be there: a configuration that is written out has all keys.
            if self.name not in rules and found != default:
                raise ValueError(
                    f"{key}: found {json.dumps(found)} with name {self.name!r}; "
                    f"allowed: {json.dumps(default)}, or name "
                    + " or ".join(repr(rule) for rule in rules)
                )
        return self

    @property
    def inertia(self) -> float:
        """The momentum, or the rule's usual one."""
        if self.momentum is None:
            return 0.9 if self.name == "sgd" else 0.0
        return self.momentum

    @property
    def decay(self) -> float:
        """The weight decay outside the groups that have their own."""
        if self.weight_decay is None:
            return 1e-4 if self.name == "adamw" else 0.0
        return self.weight_decay


class ScheduleConfig(Section):
    """The learning rate over time, as factors of the optimizer's `learning_rate`."""

    kind: Literal["constant", "piecewise", "exponential", "cosine"] = "cosine"
    warmup_epochs: float = Field(1.0, ge=0, description="linear from 0, before any kind")
    final_fraction: float = Field(0.01, ge=0, le=1, description="cosine: where it ends")
    boundaries: list[float] = Field(
        default_factory=list, description="piecewise: epochs at which the factor changes"
    )
    factors: list[float] = Field(
        default_factory=list, description="piecewise: the factor after each boundary"
    )
    decay_rate: float = Field(0.9, gt=0, le=1, description="exponential: factor per decay_epochs")
    decay_epochs: float = Field(1.0, gt=0, description="exponential")
    staircase: bool = Field(False, description="exponential: in steps rather than smoothly")

    @model_validator(mode="after")
    def _boundaries_and_factors_match(self) -> ScheduleConfig:
        if self.kind == "piecewise" and not self.boundaries:
            raise ValueError("boundaries: found none; allowed: one epoch or more under 'piecewise'")
        if self.kind != "piecewise" and self.boundaries:
            raise ValueError(
                f"boundaries: found {self.boundaries} with kind {self.kind!r}; "
                "allowed: none, or kind 'piecewise'"
            )
        if len(self.boundaries) != len(self.factors):
            raise ValueError(
                f"factors: found {len(self.factors)}; allowed: one a boundary "
                f"({len(self.boundaries)})"
            )
        if sorted(set(self.boundaries)) != self.boundaries:
            raise ValueError(f"boundaries: found {self.boundaries}; allowed: increasing epochs")
        if any(factor < 0 for factor in self.factors):
            raise ValueError(f"factors: found {self.factors}; allowed: at least 0")
        return self


class PlateauConfig(Section):
    """Lowers the learning rate when a metric of the evaluation stops getting better."""

    metric: str = "loss"
    mode: Literal["min", "max"] = "min"
    factor: float = Field(0.5, gt=0, lt=1)
    patience: int = Field(3, gt=0, description="epochs without an improvement")
    min_delta: float = Field(0.0, ge=0, description="the least that counts as an improvement")
    min_factor: float = Field(1e-3, gt=0, le=1, description="of the scheduled rate")


class ClipConfig(Section):
    """Bounds the gradient, once it is summed over all replicas."""

    by: Literal["value", "norm", "global_norm"] = "global_norm"
    at: float = Field(1.0, gt=0)


class NamedConfig(Section):
    """An object of a user's own: the dotted path of its class, and keyword arguments."""

    name: str = Field(min_length=1)
    options: dict[str, Any] = Field(default_factory=dict)


class RegularizationConfig(Section):
    """A penalty on weights, added to the loss: l1 * sum(|w|) + l2 * sum(w^2)."""

    pattern: str = Field("kernel", min_length=1, description="searched for in variable names")
    l1: float = Field(0.0, ge=0)
    l2: float = Field(0.0, ge=0)

    _pattern = field_validator("pattern")(check_pattern)


class EmaConfig(Section):
    """An exponential moving average of the weights, which is evaluated and exported."""

    momentum: float = Field(0.999, gt=0, lt=1)
