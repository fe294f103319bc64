"""The `validate` part of a run's configuration: what stops a run, what warns, what passes."""

from __future__ import annotations

import difflib
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from components.anomaly_gate.rules import KINDS, RULE_OF

ALL = "all"

Level = Literal["stop", "warn", "pass"]
STOP: Level = "stop"
WARN: Level = "warn"


def _known(name: str) -> str:
    names = [ALL, *KINDS, *RULE_OF]
    if name not in names:
        nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f"did you mean {nearest[0]}? " if nearest else ""
        raise ValueError(
            f"allowed: {hint}{ALL}, {', '.join(KINDS)}, or a kind of anomaly that TFDV knows"
        )
    return name


Rule = Annotated[str, AfterValidator(_known)]
Policy = dict[Rule, Level]

_Threshold = Annotated[float, Field(gt=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class DistanceConfig(_Section):
    """How far a feature's distribution may be from another; null: not compared."""

    jensen_shannon_divergence: _Threshold | None = Field(0.1, description="of numbers, in bits")
    l_infinity: _Threshold | None = Field(0.1, description="of the shares of categories")
    features: dict[str, _Threshold | None] = Field(
        default_factory=dict, description="in place of those above"
    )


class DriftConfig(DistanceConfig):
    """How far what is trained on may be from what was trained on before."""

    missing: _Threshold | None = Field(
        0.05, description="change of the share of rows without a value"
    )


class SkewConfig(DistanceConfig):
    """How far what is trained on may be from what the served model is asked."""

    serving_logs: str | None = Field(
        None, min_length=1, description="TFRecords of tf.Example or PredictionLog, as a glob"
    )


class ValidateConfig(_Section):
    """What is done about anomalies of the data, before anything is trained on them."""

    policy: Policy = Field(default_factory=dict, description="by rule or kind; `all` for the rest")
    features: dict[str, Policy] = Field(default_factory=dict, description="the same by feature")
    new_category_fraction: float = Field(0.001, ge=0, le=1)
    missing_fraction: float = Field(0.0, ge=0, le=1)
    min_rows: int = Field(1, ge=0, description="of each split")
    drift: DriftConfig = DriftConfig()
    skew: SkewConfig = SkewConfig()
