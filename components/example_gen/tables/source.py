"""The source of all tables: types, label, splits and bad rows, a batch of columns at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from components.example_gen.config import SPLITS, ColumnType, TableConfig
from components.example_gen.file_access import changed_at, size_of
from components.example_gen.source import BadRow, Batch, DataError, DataSource, Origin
from components.example_gen.splitting import (
    TimeCounts,
    all_but,
    digests,
    hashed,
    time_bounds,
    timed,
)
from components.example_gen.tables.content import as_feature, chunked, contents, python_values
from components.example_gen.tables.expression import Expression
from components.example_gen.tables.faults import Faults
from components.example_gen.tables.files import TableFile, spans_read, table_files
from components.example_gen.tables.labels import by_expression, unfit
from components.example_gen.tables.needs import (
    check_columns,
    label_expression,
    needed_columns,
)
from components.example_gen.tables.reader import Table, TableReader
from components.example_gen.tables.survey import Survey, times_of
from components.example_gen.tables.types import ALLOWED, convert

_EXCERPT_PIECES = 16

_ARROW = {"int": pa.int64(), "float": pa.float32(), "text": pa.binary()}


class Piece(NamedTuple):
    """A part of a file, and the splits that its rows may fall into."""

    path: str
    splits: tuple[str, ...]
    part: Any


class Rows(NamedTuple):
    """The good rows of a table.

    Attributes:
        columns: of the data, [rows] each, of their types.
        label: by an expression; None where the label is one of the columns.
        times: that splits go by, [rows] float64; None where they do not.
        bad: the other rows.
    """

    columns: Mapping[str, pa.Array]
    label: pa.Array | None
    times: np.ndarray | None
    bad: Sequence[BadRow]


class Excerpt(NamedTuple):
    """Some rows of a table, to look at.

    Attributes:
        columns: of the good rows, the label among them.
        bad: the other rows.
        is_all: whether there are no more rows.
        about_rows: how many rows there are in all, bad ones too; if not `is_all`, by an estimate.
    """

    columns: Mapping[str, pa.ChunkedArray]
    bad: Sequence[BadRow]
    is_all: bool
    about_rows: int


class TableSource(DataSource):
    """Rows of files of one format.

    Args:
        config: of the source.
        reader: of the format.
        label_values: what the label may be; None for anything.
    """

    class_names = None

    def __init__(
        self,
        config: TableConfig,
        reader: TableReader,
        label_values: Sequence[Any] | None = None,
    ) -> None:
        self._config = config
        self._reader = reader
        self._label_values = label_values

    @cached_property
    def columns(self) -> Sequence[str]:
        """Those of the first file, and the label's if it is an expression."""
        found = list(self._reader.columns(self._files[0].path))
        return [*found, self._config.label] if self._config.label_expression else found

    def check(self) -> None:
        """Checks that there are files, and the columns that label and splits need.

        Raises:
            DataError: at the first mistake.
        """
        config, where = self._config, self._files[0].path
        own = self.columns[:-1] if config.label_expression else self.columns
        check_columns(config, own, where)

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for file in self._files:
            text = f"{file.path}\0{size_of(file.path)}\0{changed_at(file.path)}\n"
            digest.update(text.encode(errors="replace"))
        return digest.hexdigest()[:16]

    def origins(self) -> Sequence[Origin]:
        return [Origin("file", file.path, span=file.span) for file in self._files]

    def size(self) -> int:
        return sum(size_of(file.path) for file in self._files)

    def span(self) -> int:
        return max(spans_read(self._config), default=0)

    def sample(self, count: int) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        for piece in self.pieces():
            for table in filter(_has_rows, self._reader.tables(piece.path, piece.part)):
                # The types of all the data would take reading them: those of these rows will do.
                rows = self._rows(table, self._survey(table).types(self._config.columns))
                columns = {**rows.columns, **self._made_label(rows)}
                found += python_values(columns, count - len(found))
                if len(found) == count:
                    return found
        return found

    def excerpt(self, rows: int) -> Excerpt:
        """Returns about so many rows from all over the data, with the types of nearly all.

        Raises:
            DataError: if there are none.
        """
        pieces = self.pieces()
        chosen = [pieces[number] for number in _spread(len(pieces), _EXCERPT_PIECES)]
        share = -(-rows // len(chosen))
        tables: list[Table] = []
        is_all = len(chosen) == len(pieces)
        for piece in chosen:
            read = 0
            for table in self._reader.tables(piece.path, piece.part):
                if read >= share:
                    is_all = False
                    break
                tables.append(_first_rows(table, share - read))
                is_all &= tables[-1].rows == table.rows
                read += table.rows + len(table.bad)
        filled = list(filter(_has_rows, tables))
        if not filled:
            bad = [str(row) for table in tables for row in table.bad]
            found = f"found no good row; the first: {bad[0]}" if bad else "found no rows"
            raise DataError.at(self._config.path, found, "rows to learn from")
        survey = Survey.merge([self._survey(table) for table in filled])
        likely = {name: kinds.likely for name, kinds in survey.kinds.items()}
        types = survey.types({**likely, **self._config.columns})
        unread = [row for table in tables if not table.rows for row in table.bad]
        parts = [self._rows(table, types) for table in filled]
        every = [{**part.columns, **self._made_label(part)} for part in parts]
        return Excerpt(
            {name: chunked([part[name] for part in every]) for name in every[0]},
            [*(row for part in parts for row in part.bad), *unread],
            is_all,
            sum(table.rows + len(table.bad) for table in tables)
            if is_all
            else self._about_rows(chosen) * len(pieces) // len(chosen),
        )

    def _about_rows(self, pieces: Sequence[Piece]) -> int:
        return sum(self._reader.about_rows(piece.path, piece.part) for piece in pieces)

    def pieces(self) -> Sequence[Piece]:
        own = [split for split in SPLITS[1:] if split in {file.split for file in self._files}]
        return [
            Piece(file.path, (file.split,) if file.split in own else all_but(own), part)
            for file in self._files
            for part in self._reader.parts(file.path)
        ]

    def survey(self, piece: Piece) -> Survey:
        tables = self._reader.tables(piece.path, piece.part)
        # At once: to add them one by one would sort all times again for each.
        return Survey.merge([self._survey(table) for table in tables])

    def merge(self, surveys: Sequence[Survey]) -> Survey:
        return Survey.merge(surveys)

    def read(self, piece: Piece, survey: Survey) -> Iterator[Batch]:
        from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

        encoder = RecordBatchToExamplesEncoder()
        types = survey.types(self._config.columns)
        for table in self._reader.tables(piece.path, piece.part):
            if table.rows == 0:
                yield Batch([], np.zeros(0, np.int8), [], table.bad)
                continue
            rows = self._rows(table, types)
            found = digests(contents(rows.columns), self._config.splits.seed)
            columns = {**rows.columns, **self._made_label(rows)}
            names = sorted(columns)
            features = [as_feature(columns[name]) for name in names]
            serialized = encoder.encode(pa.RecordBatch.from_arrays(features, names))
            yield Batch(serialized, self._splits(piece, rows, found, survey), found, rows.bad)

    def _survey(self, table: Table) -> Survey:
        kinds = {name: self._reader.kinds(values) for name, values in table.columns.items()}
        values = table.columns.get(self._config.splits.column or "")
        if self._config.splits.by != "time" or values is None:
            return Survey(kinds)
        times = times_of(values)
        return Survey(kinds, TimeCounts.of(times[~np.isnan(times)]))

    def _rows(self, table: Table, types: Mapping[str, ColumnType]) -> Rows:
        """Returns the rows of a table, the good ones with their types and label."""
        config = self._config
        faults = Faults(table)
        columns = {name: _nulls(table.rows, types[name]) for name in types}
        for name, values in table.columns.items():
            columns[name], bad = convert(values, types[name])
            faults.add(name, bad, values, ALLOWED[types[name]])
        if self._reader.has_header:
            for name in sorted(
                {*config.columns, *self._needed} & types.keys() - table.columns.keys()
            ):
                everywhere = np.ones(table.rows, bool)
                faults.add(name, everywhere, None, "the columns that the other files have")
        label = self._label(table, columns, faults)
        times = self._check_split_column(table, columns, faults)
        good = pa.array(~faults.bad)
        return Rows(
            {name: values.filter(good) for name, values in columns.items()},
            None if label is None else label.filter(good),
            None if times is None else times[~faults.bad],
            [*table.bad, *faults.rows()],
        )

    def _label(
        self, table: Table, columns: Mapping[str, pa.Array], faults: Faults
    ) -> pa.Array | None:
        """Returns the label by the expression, if there is one; notes rows without a good label."""
        config = self._config
        if self._expression is None:
            label, shown = columns[config.label], table.columns.get(config.label)
        else:
            label, missing = by_expression(self._expression, columns, table.columns)
            for name, rows in missing.items():
                allowed = f"a value, for the label {config.label!r}"
                faults.add(name, rows, table.columns.get(name), allowed)
            shown = label
        for rows, allowed in unfit(label, self._label_values):
            faults.add(config.label, rows, shown, allowed)
        return None if self._expression is None else label

    def _made_label(self, rows: Rows) -> dict[str, pa.Array]:
        """Returns the column of the label, if an expression makes it."""
        return {} if rows.label is None else {self._config.label: rows.label}

    def _check_split_column(
        self, table: Table, columns: Mapping[str, pa.Array], faults: Faults
    ) -> np.ndarray | None:
        """Returns the times, if splits go by them; notes rows that have no group or no time."""
        splits = self._config.splits
        if splits.column is None or splits.column not in table.columns:
            return None
        values = table.columns[splits.column]
        if splits.by == "group":
            missing = columns[splits.column].is_null().to_numpy(zero_copy_only=False)
            faults.add(splits.column, missing, values, "a group, since data.splits.by is group")
            return None
        times = times_of(values)
        allowed = "a time, a number or ISO 8601, since data.splits.by is time"
        faults.add(splits.column, np.isnan(times), values, allowed)
        return times

    def _splits(
        self, piece: Piece, rows: Rows, found: Sequence[bytes], survey: Survey
    ) -> np.ndarray:
        splits = self._config.splits
        if rows.times is not None and survey.times is not None:
            return timed(rows.times, time_bounds(survey.times, splits))
        if splits.by == "group" and splits.column:
            groups = contents({splits.column: rows.columns[splits.column]})
            return hashed(digests(groups, splits.seed), piece.splits, splits)
        return hashed(found, piece.splits, splits)

    @cached_property
    def _files(self) -> list[TableFile]:
        return table_files(self._config, self._reader.suffixes)

    @cached_property
    def _expression(self) -> Expression | None:
        return label_expression(self._config)

    @cached_property
    def _needed(self) -> list[str]:
        return needed_columns(self._config)


def _spread(count: int, most: int) -> list[int]:
    """Returns at most so many of the numbers below `count`, as far apart as may be."""
    return sorted({number * count // most for number in range(most)})


def _first_rows(table: Table, count: int) -> Table:
    columns = {name: values.slice(0, count) for name, values in table.columns.items()}
    return table._replace(columns=columns)


def _has_rows(table: Table) -> bool:
    return table.rows > 0


def _nulls(rows: int, kind: ColumnType) -> pa.Array:
    return pa.nulls(rows, _ARROW[kind])
