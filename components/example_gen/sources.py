"""The source that a `data` section names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from components.example_gen.cifar10_binary import Cifar10BinarySource
from components.example_gen.cifar10_python import Cifar10PythonSource
from components.example_gen.config import (
    BigQueryConfig,
    Cifar10BinaryConfig,
    Cifar10PythonConfig,
    CsvConfig,
    DataConfig,
    IdxConfig,
    ImageFolderConfig,
    NpzConfig,
    ParquetConfig,
    SklearnConfig,
    TableConfig,
)
from components.example_gen.idx import IdxSource
from components.example_gen.image_folder import ImageFolderSource
from components.example_gen.npz import NpzSource
from components.example_gen.row_source import RowsAsPiece, RowSource
from components.example_gen.sklearn_source import SklearnSource
from components.example_gen.source import DataSource

_ROW_SOURCES: dict[type, Callable[[Any], RowSource]] = {
    SklearnConfig: SklearnSource,
    ImageFolderConfig: ImageFolderSource,
    Cifar10BinaryConfig: Cifar10BinarySource,
    Cifar10PythonConfig: Cifar10PythonSource,
    IdxConfig: IdxSource,
    NpzConfig: NpzSource,
}


def make_source(data: DataConfig, label_values: Sequence[Any] | None = None) -> DataSource:
    """Returns the source; nothing is read yet.

    Args:
        label_values: what a row's label may be, as far as the task says; None for anything.
    """
    if isinstance(data, BigQueryConfig):
        from components.example_gen.big_query import BigQuerySource

        return BigQuerySource(data)
    if isinstance(data, TableConfig):
        return _table(data, label_values)
    rows = _ROW_SOURCES[type(data)](data)
    return RowsAsPiece(rows, data.label, data.splits, label_values)


def _table(data: TableConfig, label_values: Sequence[Any] | None) -> DataSource:
    # These import Arrow, which the others do without.
    from components.example_gen.tables.source import TableSource

    if isinstance(data, CsvConfig):
        from components.example_gen.tables.csv_reader import CsvReader

        return TableSource(data, CsvReader(data.delimiter, data.encoding), label_values)
    if isinstance(data, ParquetConfig):
        from components.example_gen.tables.parquet_reader import ParquetReader

        return TableSource(data, ParquetReader(), label_values)
    from components.example_gen.tables.tfrecord_reader import TFRecordReader

    return TableSource(data, TFRecordReader(), label_values)
