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
    """A folder for each class, or such folders in each of train, eval (or val) and test."""

    source: Literal["image_folder"]


class Cifar10BinaryConfig(_ImageConfig):
    """The folder of CIFAR-10's binary version, or the .tar.gz that it comes in."""

    source: Literal["cifar10_binary"]


class Cifar10PythonConfig(_ImageConfig):
    """The folder of CIFAR-10's python version, or the .tar.gz that it comes in."""

    source: Literal["cifar10_python"]


class IdxConfig(_ImageConfig):
    """A folder of MNIST's IDX files."""

    source: Literal["idx"]
    classes: list[str] | None = Field(
        None, min_length=2, description="names of the labels 0, 1, ...; null: the numbers"
    )


class NpzConfig(_Section):
    """A .npz of arrays, the columns by their names: one row for each index of all of them."""

    source: Literal["npz"]
    path: str = Field(min_length=1)
    label: str = Field(min_length=1)
    splits: SplitsConfig = SplitsConfig()


def _with_default_source(value: Any) -> Any:
    return {"source": "sklearn", **value} if isinstance(value, dict) else value


DataConfig = Annotated[
    SklearnConfig
    | ImageFolderConfig
    | Cifar10BinaryConfig
    | Cifar10PythonConfig
    | IdxConfig
    | NpzConfig,
    Field(discriminator="source"),
    BeforeValidator(_with_default_source),
]
