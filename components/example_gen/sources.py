"""The source that a `data` section names."""

from __future__ import annotations

from components.example_gen.cifar10_binary import Cifar10BinarySource
from components.example_gen.config import DataConfig, ImageFolderConfig, SklearnConfig
from components.example_gen.image_folder import ImageFolderSource
from components.example_gen.sklearn_source import SklearnSource
from components.example_gen.source import DataSource


def make_source(data: DataConfig) -> DataSource:
    """Returns the source; nothing is read yet."""
    if isinstance(data, SklearnConfig):
        return SklearnSource(data)
    if isinstance(data, ImageFolderConfig):
        return ImageFolderSource(data)
    return Cifar10BinarySource(data)
