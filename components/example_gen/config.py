"""The `data` part of a run's configuration: one section a source."""

from __future__ import annotations

import codecs
import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

SPLITS = ("train", "eval", "test")


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class SplitsConfig(_Section):
    """How rows fall into splits, and the shares of each.

    By a hash, a row's split depends on its content alone, so that neither the order of the rows
    nor the number of files changes it, and a row that comes twice is not in two splits.
    """

    by: Literal["hash", "group", "time", "folder"] = Field(
        "hash",
        description="hash of the row; hash of the column's value, so that no group is in two "
        "splits; time, the earliest rows to train on and the latest to test with; the folders "
        "train, eval (or val) and test",
    )
    column: str | None = Field(None, min_length=1, description="of the groups, or of the times")
    train: int = Field(70, gt=0)
    eval: int = Field(15, gt=0, description="chooses the epoch that is exported")
    test: int = Field(15, gt=0, description="decides on the blessing; training never sees it")
    seed: int = Field(0, ge=0, description="another one gives other splits of the same shares")

    @model_validator(mode="after")
    def _column_where_it_is_used(self) -> SplitsConfig:
        if self.by in ("group", "time") and self.column is None:
            raise ValueError(f"column: found nothing; allowed: a column, since by is {self.by}")
        if self.by in ("hash", "folder") and self.column is not None:
            raise ValueError(f"column: found {self.column!r}; allowed: null, since by is {self.by}")
        return self


class _DataSection(_Section):
    splits: SplitsConfig = SplitsConfig()
    bad_rows: Literal["fail", "quarantine"] = Field(
        "fail",
        description="a row that cannot be used ends the run, or is put aside with its reason",
    )
    max_bad_fraction: float = Field(
        0.01, ge=0, lt=1, description="quarantine: more of all rows than this end the run"
    )


class _RowsConfig(_DataSection):
    @model_validator(mode="after")
    def _split_by_hash(self) -> _RowsConfig:
        if self.splits.by != "hash":
            raise ValueError(
                f"splits.by: found {self.splits.by!r}; allowed: hash, beside the splits that the "
                "data bring themselves"
            )
        return self


class SklearnConfig(_RowsConfig):
    """Which of the data sets that scikit-learn bundles, and which column is the label."""

    source: Literal["sklearn"] = "sklearn"
    dataset: Literal["digits", "breast_cancer"]
    label: str = Field(min_length=1)
    limit: int | None = Field(None, gt=0, description="take only the first rows; null: all")


class _ImageConfig(_RowsConfig):
    """Pictures: the columns are `image`, an encoded picture, and `label`, the name of its class."""

    path: str = Field(min_length=1)
    label: Literal["label"] = "label"


class ImageFolderConfig(_ImageConfig):
    """A folder for each class, or such folders in each of train, eval (or val) and test."""

    source: Literal["image_folder"]


class Cifar10BinaryConfig(_ImageConfig):
    """The folder of CIFAR-10's binary version, or the .tar.gz that it comes in."""

    source: Literal["cifar10_binary"]


ColumnType = Literal["int", "float", "text"]


class ColumnsConfig(_DataSection):
    """Rows with named columns."""

    label: str = Field(min_length=1)
    label_expression: str | None = Field(
        None,
        min_length=1,
        description="makes the label of other columns, such as `tips > 0.2 * fare`; null: `label` "
        "is a column of the data",
    )
    columns: dict[str, ColumnType] = Field(
        default_factory=dict,
        description="types of columns; a value of another type is a bad row; without: inferred",
    )


class TableConfig(ColumnsConfig):
    """Files of rows with named columns."""

    path: str = Field(
        min_length=1,
        description="a file, a folder of files, or a pattern such as data/*.csv; {SPAN}, "
        "or {YYYY}, {MM} and {DD}, and {VERSION} in it name the spans",
    )
    window: int = Field(1, gt=0, description="how many of the latest spans are read together")
    span: int | str | None = Field(
        None, description="the last that is read, a number or a date; null: the latest there is"
    )

    @field_validator("span", mode="before")
    @classmethod
    def _is_a_number_or_a_date(cls, value: Any) -> int | str | None:
        if value is None or type(value) is int:
            return value
        try:
            datetime.date.fromisoformat(value)
        except (TypeError, ValueError):
            raise ValueError("allowed: a number, or a date such as 2026-01-31") from None
        return str(value)


class CsvConfig(TableConfig):
    """CSV as RFC 4180 has it, with a header; .gz too."""

    source: Literal["csv"]
    delimiter: str = Field(",", min_length=1, max_length=1)
    encoding: str = "utf-8"

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, value: str) -> str:
        try:
            codecs.lookup(value)
        except LookupError:
            raise ValueError("allowed: an encoding of Python's, such as utf-8 or cp1252") from None
        return value


class ParquetConfig(TableConfig):
    """Apache Parquet."""

    source: Literal["parquet"]


class TFRecordConfig(TableConfig):
    """TFRecords of tf.Example, plain or GZIP."""

    source: Literal["tfrecord"]


class BigQueryConfig(ColumnsConfig):
    """The rows that a query of Google BigQuery gives."""

    source: Literal["bigquery"]
    query: str = Field(
        min_length=1, description="in GoogleSQL; its columns are INTEGER, FLOAT, BOOLEAN or STRING"
    )
    project: str = Field(min_length=1, description="that the query runs in, and is billed to")
    temp_location: str = Field(
        pattern="^gs://.", description="where BigQuery exports the rows, to be read and deleted"
    )

    @field_validator("query")
    @classmethod
    def _can_be_part_of_another(cls, value: str) -> str:
        """Returns it so that it can stand in brackets, whatever comment it ends in."""
        query = value.strip("; \n\t")
        if not query:
            raise ValueError("allowed: a query in GoogleSQL")
        return query + "\n"

    @model_validator(mode="after")
    def _has_no_folders(self) -> BigQueryConfig:
        if self.splits.by == "folder":
            raise ValueError("splits.by: found 'folder'; allowed: hash, group or time")
        return self

    def written_to(self, path: str) -> TFRecordConfig:
        """Returns the configuration of the same rows as TFRecords."""
        own = {"source", "query", "project", "temp_location"}
        return TFRecordConfig(source="tfrecord", path=path, **self.model_dump(exclude=own))


class Cifar10PythonConfig(_ImageConfig):
    """The folder of CIFAR-10's python version, or the .tar.gz that it comes in."""

    source: Literal["cifar10_python"]


class IdxConfig(_ImageConfig):
    """A folder of MNIST's IDX files."""

    source: Literal["idx"]
    classes: list[str] | None = Field(
        None, min_length=2, description="names of the labels 0, 1, ...; null: the numbers"
    )


class NpzConfig(_RowsConfig):
    """A .npz of arrays, the columns by their names: one row for each index of all of them."""

    source: Literal["npz"]
    path: str = Field(min_length=1)
    label: str = Field(min_length=1)


def _with_default_source(value: Any) -> Any:
    return {"source": "sklearn", **value} if isinstance(value, dict) else value


DataConfig = Annotated[
    SklearnConfig
    | ImageFolderConfig
    | Cifar10BinaryConfig
    | Cifar10PythonConfig
    | IdxConfig
    | NpzConfig
    | CsvConfig
    | ParquetConfig
    | TFRecordConfig
    | BigQueryConfig,
    Field(discriminator="source"),
    BeforeValidator(_with_default_source),
]


def where(data: DataConfig) -> str:
    """Returns how to name data to a person."""
    if isinstance(data, SklearnConfig):
        return data.dataset
    return "BigQuery" if isinstance(data, BigQueryConfig) else data.path
