"""`Job`: a training outside of a pipeline, as `python -m trainer_module` runs it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from trainer_module.config.section import Section
from trainer_module.config.train import TaskConfig, TrainConfig


class FeatureConfig(Section):
    """A transformed feature of fixed length."""

    dtype: Literal["float32", "int64", "string"]
    shape: list[int] = Field(default_factory=list, description="of one row; [] for a scalar")


class DataConfig(Section):
    """Transformed examples: GZIP TFRecords of tf.Example."""

    train: list[str] = Field(min_length=1, description="globs of the files to learn from")
    eval: list[str] = Field(min_length=1, description="globs of the files to evaluate on")
    features: dict[str, FeatureConfig] = Field(
        default_factory=dict, description="what they hold, unless `transform` says it"
    )
    transform: str | None = Field(
        None, description="folder of Transform's output, which says what they hold"
    )

    @model_validator(mode="after")
    def _features_are_known(self) -> DataConfig:
        if bool(self.features) == (self.transform is not None):
            found = "it and transform" if self.features else "neither it nor transform"
            raise ValueError(f"features: found {found}; allowed: one of the two")
        return self


class Job(Section):
    """What to learn, from what, how, and where to keep it."""

    task: TaskConfig
    train: TrainConfig
    data: DataConfig
    folder: str = Field(
        min_length=1,
        description="checkpoints and logs, of this job alone; every process of a cluster sees it",
    )
    cache: str | None = Field(
        None,
        min_length=1,
        description="on a local disk, for any number of jobs: what is kept of the files that are "
        "read; null: `input` in the folder",
    )
    output: str | None = Field(
        None, description="where the SavedModel is written; needs data.transform and label"
    )
    base_model: str | None = Field(
        None, description="with train.warm_start: a SavedModel to begin with the weights of"
    )
    label: str | None = Field(None, description="the raw feature that clients do not send")

    @model_validator(mode="after")
    def _export_is_possible(self) -> Job:
        if self.output and not self.data.transform:
            raise ValueError(
                f"output: found {self.output!r} without data.transform; allowed: null, or with "
                "the folder of Transform's output, which an export holds"
            )
        if self.output and not self.label:
            raise ValueError(
                f"output: found {self.output!r} without label; allowed: null, or with the name of "
                "the label's raw feature"
            )
        return self
