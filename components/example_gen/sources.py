"""The source that a `data` section names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from components.example_gen.cifar10_binary import Cifar10BinarySource
from components.example_gen.cifar10_python import Cifar10PythonSource
from components.example_gen.config import (
    Cifar10BinaryConfig,
    Cifar10PythonConfig,
    DataConfig,
    IdxConfig,
    ImageFolderConfig,
    NpzConfig,
    SklearnConfig,
)
from components.example_gen.idx import IdxSource
from components.example_gen.image_folder import ImageFolderSource
from components.example_gen.npz import NpzSource
from components.example_gen.sklearn_source import SklearnSource
from components.example_gen.source import DataSource

_SOURCES: dict[type, Callable[[Any], DataSource]] = {
    SklearnConfig: SklearnSource,
    ImageFolderConfig: ImageFolderSource,
    Cifar10BinaryConfig: Cifar10BinarySource,
    Cifar10PythonConfig: Cifar10PythonSource,
    IdxConfig: IdxSource,
    NpzConfig: NpzSource,
}


def make_source(data: DataConfig) -> DataSource:
    """Returns the source; nothing is read yet."""
    return _SOURCES[type(data)](data)
