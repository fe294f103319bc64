"""The `evaluate` part of a run's configuration."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field, model_validator

from trainer_module.config.section import Section

MetricName = Literal["accuracy", "binary_accuracy", "auc", "r2", "mse", "mae", "frechet"]
METRIC_NAMES: tuple[str, ...] = get_args(MetricName)


class MetricConfig(Section):
    """One metric on the test split, and what it has to reach."""

    name: MetricName
    head: str = Field(min_length=1, description="of the task: what is predicted")
    at_least: float | None = None
    at_most: float | None = None
    slice_at_least: float | None = Field(None, description="in every slice of evaluate.slices")
    max_regression: float | None = Field(
        None, ge=0, description="how much worse than the last blessed model it may be"
    )

    @property
    def higher_is_better(self) -> bool:
        return self.name not in ("mse", "mae", "frechet")

    @property
    def has_value_threshold(self) -> bool:
        return self.at_least is not None or self.at_most is not None


class EvaluateConfig(Section):
    """What a model has to show before it is pushed."""

    metrics: list[MetricConfig] = Field(min_length=1)
    slices: list[str] = Field(
        default_factory=list, description="raw features; metrics are given for each value of each"
    )

    @model_validator(mode="after")
    def _there_is_a_threshold(self) -> EvaluateConfig:
        if not any(metric.has_value_threshold for metric in self.metrics):
            raise ValueError(
                "metrics: found no threshold; allowed: at_least or at_most on one metric or more, "
                "since a model that nothing is asked of would never be blessed"
            )
        if not self.slices and any(metric.slice_at_least is not None for metric in self.metrics):
            raise ValueError("slices: found none; allowed: a feature, since slice_at_least is set")
        for index, metric in enumerate(self.metrics):
            if metric.slice_at_least is not None and not metric.higher_is_better:
                raise ValueError(
                    f"metrics.{index}.slice_at_least: found {metric.slice_at_least} on "
                    f"{metric.name}; allowed: null, since less is better there"
                )
        names = [(metric.name, metric.head) for metric in self.metrics]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"metrics: found {sorted(twice)} twice; allowed: each metric once")
        return self
