"""The `data` part of a run's configuration."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

SPLITS = ("train", "eval", "test")


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class SplitsConfig(_Section):
    """Shares of the rows, as hash buckets; a row's split depends on its content alone."""

    train: int = Field(70, gt=0)
    eval: int = Field(15, gt=0, description="chooses the epoch that is exported")
    test: int = Field(15, gt=0, description="decides on the blessing; training never sees it")


class DataConfig(_Section):
    """Which data, and which column is the label."""

    source: Literal["sklearn"] = "sklearn"
    dataset: Literal["digits", "breast_cancer"]
    label: str = Field(min_length=1)
    limit: int | None = Field(None, gt=0, description="take only the first rows; null: all")
    splits: SplitsConfig = SplitsConfig()
