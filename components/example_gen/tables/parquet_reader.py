"""Apache Parquet, a row group at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from components.example_gen.file_access import open_binary
from components.example_gen.source import BadRow, DataError
from components.example_gen.tables.reader import Table, TableReader
from components.example_gen.tables.types import Kinds, kinds

_BATCH_CELLS = 500_000
_ALLOWED = "numbers, true and false, texts, bytes, dates and times, and lists of these"


class ParquetReader(TableReader):
    """Reads Parquet files; dates and times become seconds since 1970."""

    suffixes = (".parquet", ".pq")

    def columns(self, path: str) -> Sequence[str]:
        with self._opened(path) as file:
            for field in file.schema_arrow:
                if _plain(field.type) is None:
                    where = f"{path}: column {field.name!r}"
                    raise DataError.at(where, f"found {field.type}", _ALLOWED)
            return file.schema_arrow.names

    def parts(self, path: str) -> Sequence[int]:
        with self._opened(path) as file:
            return range(file.num_row_groups)

    def tables(self, path: str, part: int) -> Iterator[Table]:
        with self._opened(path) as file:
            schema = file.schema_arrow
            group = file.metadata.row_group(part)
            first = sum(file.metadata.row_group(number).num_rows for number in range(part))
            read = 0
            try:
                size = max(1, _BATCH_CELLS // max(1, len(schema)))
                for batch in file.iter_batches(size, row_groups=[part]):
                    yield _table(path, batch, first + read)
                    read += batch.num_rows
            except (OSError, pa.ArrowException) as error:
                reason = str(error).splitlines()[0]
                yield _unread(path, first + read, first + group.num_rows, reason)

    def about_rows(self, path: str, part: int) -> int:
        with self._opened(path) as file:
            return int(file.metadata.row_group(part).num_rows)

    def kinds(self, values: pa.Array) -> Kinds:
        return kinds(values)

    def _opened(self, path: str) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(open_binary(path))
        except (OSError, pa.ArrowException) as error:
            reason = str(error).splitlines()[0]
            raise DataError.at(path, f"found no Parquet ({reason})", "a Parquet file") from None


def _table(path: str, batch: pa.RecordBatch, first: int) -> Table:
    columns = {
        name: _as_plain(values)
        for name, values in zip(batch.schema.names, batch.columns, strict=True)
    }
    return Table(
        columns,
        where=lambda number: f"{path}: row {first + number + 1}",
        shown=lambda number: str(batch.slice(number, 1).to_pylist()[0]),
    )


def _unread(path: str, first: int, end: int, reason: str) -> Table:
    """Returns the rows of a group that does not read as bad ones: the footer says how many."""
    bad = [
        BadRow(f"{path}: row {number + 1}", "", reason, "a Parquet file that reads to its end")
        for number in range(first, end)
    ]
    return Table({}, where=str, shown=str, bad=bad)


def _plain(kind: pa.DataType) -> pa.DataType | None:
    """Returns the type that values of a Parquet type are taken as; None if they are not."""
    types = pa.types
    if types.is_dictionary(kind):
        return _plain(kind.value_type)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        inner = _plain(kind.value_type)
        return None if inner is None or types.is_list(inner) else pa.list_(inner)
    if types.is_boolean(kind) or types.is_integer(kind):
        return pa.int64()
    if types.is_floating(kind) or types.is_decimal(kind):
        return pa.float64()
    if types.is_temporal(kind) and not types.is_duration(kind) and not types.is_time(kind):
        return pa.int64()
    if types.is_string(kind) or types.is_large_string(kind):
        return pa.string()
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return pa.binary()
    return pa.string() if types.is_null(kind) else None


def _as_plain(values: pa.Array) -> pa.Array:
    wanted = _plain(values.type)
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_temporal(values.type):
        values = values.cast(pa.timestamp("s"), safe=False)
    return values.cast(wanted)
