"""The `data` part of a run's configuration: one section a source."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

SPLITS = ("train", "eval", "test")


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class SplitsConfig(_Section):
    """Shares of the rows, as hash buckets; a row's split depends on its content alone."""

    train: int = Field(70, gt=0)
    eval: int = Field(15, gt=0, description="chooses the epoch that is exported")
    test: int = Field(15, gt=0, description="decides on the blessing; training never sees it")


class SklearnConfig(_Section):
    """Which of the data sets that scikit-learn bundles, and which column is the label."""

    source: Literal["sklearn"] = "sklearn"
    dataset: Literal["digits", "breast_cancer"]
    label: str = Field(min_length=1)
    limit: int | None = Field(None, gt=0, description="take only the first rows; null: all")
    splits: SplitsConfig = SplitsConfig()


class _ImageConfig(_Section):
    """Pictures: the columns are `image`, an encoded picture, and `label`, the name of its class."""

    path: str = Field(min_length=1)
    label: Literal["label"] = "label"
    splits: SplitsConfig = SplitsConfig()


class ImageFolderConfig(_ImageConfig):
    """`train/<class>/<picture>` in a folder or a tar of one; eval (or val) and test likewise."""

    source: Literal["image_folder"]


class Cifar10BinaryConfig(_ImageConfig):
    """The folder of CIFAR-10's binary version, or the .tar.gz that it comes in."""

    source: Literal["cifar10_binary"]


def _with_default_source(value: Any) -> Any:
    return {"source": "sklearn", **value} if isinstance(value, dict) else value


DataConfig = Annotated[
    SklearnConfig | ImageFolderConfig | Cifar10BinaryConfig,
    Field(discriminator="source"),
    BeforeValidator(_with_default_source),
]
