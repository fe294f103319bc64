"""What watches a training and may end it: `train.callbacks`, `train.debug`."""

from __future__ import annotations

import os
from typing import Literal

from pydantic import Field, model_validator

from trainer_module.config.optimizer import NamedConfig
from trainer_module.config.section import Section


class EarlyStopConfig(Section):
    """Ends the training when a metric of the evaluation stops getting better."""

    metric: str = "loss"
    mode: Literal["min", "max"] = "min"
    patience: int = Field(5, gt=0, description="epochs without an improvement")
    min_delta: float = Field(0.0, ge=0, description="the least that counts as an improvement")


class ExplosionConfig(Section):
    """Ends the training when a mean over a call's steps passes a bound."""

    value: Literal["loss", "gradient_norm"] = "loss"
    above: float = Field(gt=0)


class TensorBoardConfig(Section):
    """What is written for TensorBoard besides the scalars."""

    histograms: bool = Field(False, description="weights and last gradients, each epoch")
    images: int = Field(0, ge=0, le=64, description="pictures of the first batch, once")
    graph: bool = Field(False, description="the graph of the training function")
    profile: list[int] | None = Field(
        None,
        min_length=2,
        max_length=2,
        description="first and last step of the profiler's window",
    )

    @model_validator(mode="after")
    def _window_is_in_order(self) -> TensorBoardConfig:
        if self.profile and not 0 <= self.profile[0] < self.profile[1]:
            raise ValueError(
                f"profile: found {self.profile}; allowed: two steps, the first one lower"
            )
        return self


class CallbacksConfig(Section):
    """The callbacks besides progress, history and TensorBoard's scalars."""

    early_stop: EarlyStopConfig | None = None
    stop_on_nonfinite: bool = Field(
        True, description="a loss or gradient that is not finite ends the training"
    )
    stop_on_explosion: ExplosionConfig | None = None
    time_budget_minutes: float | None = Field(
        None, gt=0, description="of training; what is best by then is exported"
    )
    csv: bool = Field(False, description="history.csv beside history.jsonl")
    tensorboard: TensorBoardConfig = TensorBoardConfig()
    own: list[NamedConfig] = Field(
        default_factory=list, description="Callback classes by dotted path"
    )


class DebugConfig(Section):
    """Ways to look into a training that goes wrong."""

    fast_dev_run: bool = Field(False, description="three steps, one evaluation batch, no more")
    overfit_batches: int | None = Field(
        None, gt=0, description="train and evaluate on this many batches, unshuffled"
    )
    eager: bool = Field(False, description="no graphs: breakpoints and prints work in the step")
    deterministic: bool = Field(
        False, description="TensorFlow's op determinism; what has no such kernel is an error"
    )
    layer_report: bool = Field(
        False, description="norms of gradient, weight and update of each variable, each epoch"
    )

    @model_validator(mode="after")
    def _one_way_of_less_data(self) -> DebugConfig:
        if self.fast_dev_run and self.overfit_batches:
            raise ValueError(
                f"overfit_batches: found {self.overfit_batches} with fast_dev_run; "
                "allowed: one of the two"
            )
        return self

    def folder_in(self, folder: str) -> str:
        """Returns the folder of a training: one of its own in `folder` if it is of less data.

        The training itself would go on from what was learned of a few batches otherwise.
        """
        if self.fast_dev_run:
            return os.path.join(folder, "fast-dev-run")
        if self.overfit_batches:
            return os.path.join(folder, f"overfit-{self.overfit_batches}")
        return folder
