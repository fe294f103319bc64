"""The source that a `data` section names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from components.example_gen.cifar10_binary import Cifar10BinarySource
from components.example_gen.config import (
    Cifar10BinaryConfig,
    CsvConfig,
    DataConfig,
    ImageFolderConfig,
    ParquetConfig,
    SklearnConfig,
    TFRecordConfig,
)
from components.example_gen.image_folder import ImageFolderSource
from components.example_gen.sklearn_source import SklearnSource
from components.example_gen.source import DataSource


def make_source(data: DataConfig, label_values: Sequence[Any] | None = None) -> DataSource:
    """Returns the source; nothing is read yet.

    Args:
        label_values: what a row's label may be, as far as the task says; None for anything.
    """
    if isinstance(data, SklearnConfig):
        return SklearnSource(data)
    if isinstance(data, ImageFolderConfig):
        return ImageFolderSource(data)
    if isinstance(data, Cifar10BinaryConfig):
        return Cifar10BinarySource(data)
    # These import Arrow, which the others do without.
    from components.example_gen.tables.source import TableSource

    if isinstance(data, CsvConfig):
        from components.example_gen.tables.csv_reader import CsvReader

        reader = CsvReader(data.delimiter, data.encoding)
        return TableSource(data, reader, (".csv", ".csv.gz", ".tsv", ".txt"), label_values)
    if isinstance(data, ParquetConfig):
        from components.example_gen.tables.parquet_reader import ParquetReader

        return TableSource(data, ParquetReader(), (".parquet", ".pq"), label_values)
    assert isinstance(data, TFRecordConfig), "these are all the kinds of sources"
    from components.example_gen.tables.tfrecord_reader import TFRecordReader

    suffixes = (".tfrecord", ".tfrecords", ".tfrecord.gz", ".tfrecords.gz", ".gz")
    return TableSource(data, TFRecordReader(), suffixes, label_values)
