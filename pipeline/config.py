"""RunConfig: all that a run is, in one frozen object made from one YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from components.example_gen.config import DataConfig
from serving.config import ServeConfig
from serving.lite.config import LiteConfig
from trainer_module.config import TaskConfig, TrainConfig


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class TransformConfig(_Section):
    """What Transform passes to the task's preprocessing_fn besides the features."""

    options: dict[str, Any] = Field(default_factory=dict)


class MetricConfig(_Section):
    """One metric on the test split, and what it has to reach."""

    name: Literal["accuracy", "binary_accuracy", "auc", "r2", "mse", "mae", "frechet"]
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


class EvaluateConfig(_Section):
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


class BeamConfig(_Section):
    """Where the data components run."""

    engine: Literal["direct"] = "direct"


class RunConfig(_Section):
    """A run. Relative paths are relative to the working directory."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    root: str = Field("runs", min_length=1, description="everything a run writes is under here")
    cache: bool = Field(True, description="reuse the outputs of nodes whose inputs are unchanged")
    data: DataConfig
    task: TaskConfig
    transform: TransformConfig = TransformConfig()
    train: TrainConfig
    evaluate: EvaluateConfig
    serve: ServeConfig = ServeConfig()
    lite: LiteConfig | None = Field(None, description="null: no TF Lite variants are made")
    beam: BeamConfig = BeamConfig()

    @property
    def pipeline_root(self) -> Path:
        """Folder of this pipeline: its runs, artifacts, checkpoints, metadata and models."""
        return Path(self.root).expanduser().resolve() / self.name

    @property
    def serving_root(self) -> Path:
        if self.serve.root is None:
            return self.pipeline_root / "serving"
        return Path(self.serve.root).expanduser().resolve()

    @property
    def model_name(self) -> str:
        return self.serve.model_name or self.name

    @property
    def model_folder(self) -> Path:
        """Folder of the version folders."""
        return self.serving_root / self.model_name
