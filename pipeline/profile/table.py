"""Looks at a table: its columns, its label, and what should not be learned from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.example_gen.source import DataError, DataSource
from pipeline.profile.columns import ColumnProfile, Suspicion, profile_column
from pipeline.profile.label import (
    LEAK,
    LEAK_OF_EXPRESSION,
    LabelProfile,
    power_alone,
    profile_label,
)

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 100_000
"""How many rows are looked at."""

_LABEL = "label"


@dataclass(frozen=True)
class TableProfile:
    """What was found.

    Attributes:
        data: keys of a `data` section that reads it.
        columns: but for the label.
        label: described.
        rows: that were looked at.
        about_rows: how many there are in all; None if these are all.
        bad: rows among them that cannot be used, as text.
    """

    data: Mapping[str, Any]
    columns: Sequence[ColumnProfile]
    label: LabelProfile
    rows: int
    about_rows: int | None
    bad: Sequence[str]


def profile_table(data: Mapping[str, Any], label: str, problem: str | None) -> TableProfile:
    """Looks at rows from all over the data.

    Args:
        data: source and path.
        label: a column, or an expression of columns.
        problem: what the label is taken for; None to judge by its values.

    Raises:
        DataError: if the data or the label cannot be used.
    """
    from components.example_gen.tables.source import TableSource

    names = open_source({**data, "label": _LABEL}).columns
    of_label, used = _label_keys(label, names, str(data["path"]))
    source = open_source({**data, **of_label})
    assert isinstance(source, TableSource), "the other sources are not tables"
    source.check()
    excerpt = source.excerpt(ROWS)
    bad = [str(row) for row in excerpt.bad]
    about_rows = None if excerpt.is_all else excerpt.about_rows
    return _profile({**data, **of_label}, excerpt.columns, used, problem, about_rows, bad)


def profile_arrays(data: Mapping[str, Any], label: str, problem: str | None) -> TableProfile:
    """Looks at the first rows of arrays of numbers and texts.

    Raises:
        DataError: if the data or the label cannot be used.
    """
    import pyarrow as pa

    source = open_source({**data, "label": label})
    if label not in source.columns:
        allowed = f"one of the arrays: {', '.join(source.columns)}"
        raise DataError.at(str(data["path"]), f"label {label!r}", allowed)
    source.check()
    rows = source.sample(ROWS)
    columns = {}
    for name in source.columns:
        values = pa.array([row.get(name) for row in rows])
        columns[name] = pa.chunked_array([values.cast(_narrow(values.type))])
    counts = source.row_counts()
    about_rows = sum(counts.values()) if counts and len(rows) == ROWS else None
    return _profile({**data, "label": label}, columns, (), problem, about_rows, ())


def _profile(
    data: Mapping[str, Any],
    columns: Mapping[str, pa.ChunkedArray],
    used: Sequence[str],
    problem: str | None,
    about_rows: int | None,
    bad: Sequence[str],
) -> TableProfile:
    name = data["label"]
    label = columns[name]
    if not len(label):
        found = f"found no good row{f'; the first: {bad[0]}' if bad else ''}"
        raise DataError.at(str(data["path"]), found, "rows to learn from")
    try:
        about = profile_label(name, label, problem)
    except ValueError as error:
        raise DataError(f"{data['path']}: label {name!r}: {error}") from None
    profiles = [
        _with_leak(
            profile_column(column, values),
            power_alone(values, label, about.problem),
            column in used,
        )
        for column, values in columns.items()
        if column != name
    ]
    return TableProfile(data, profiles, about, len(label), about_rows, bad)


def open_source(section: Mapping[str, Any]) -> DataSource:
    """Returns the source of a `data` section."""
    from pydantic import TypeAdapter

    from components.example_gen.config import DataConfig
    from components.example_gen.sources import make_source

    adapter: TypeAdapter[DataConfig] = TypeAdapter(DataConfig)
    return make_source(adapter.validate_python(section))


def _narrow(kind: pa.DataType) -> pa.DataType:
    """Returns the type that tf.Example holds values of a type as."""
    import pyarrow as pa

    if pa.types.is_list(kind):
        return pa.list_(_narrow(kind.value_type))
    if pa.types.is_floating(kind):
        return pa.float32()
    return pa.binary() if pa.types.is_string(kind) else kind


def _label_keys(
    label: str, names: Sequence[str], path: str
) -> tuple[dict[str, str], Sequence[str]]:
    """Returns the keys of `data` that say what the label is, and the columns it is computed of."""
    from components.example_gen.tables.expression import Expression

    if label in names:
        return {"label": label}, ()
    allowed = f"a column ({', '.join(names)}), or an expression of columns such as 'a > 0.2 * b'"
    try:
        used = Expression(label).columns
    except ValueError as error:
        raise DataError.at(path, f"label {label!r}: {error}", allowed) from None
    stray = [column for column in used if column not in names]
    if stray:
        raise DataError.at(path, f"label {label!r}: no column {stray[0]!r}", allowed)
    free = _LABEL
    while free in names:
        free += "_"
    return {"label": free, "label_expression": label}, used


def _with_leak(column: ColumnProfile, alone: float, makes_label: bool) -> ColumnProfile:
    is_leak = alone >= (LEAK_OF_EXPRESSION if makes_label else LEAK)
    suspicion = column.suspicion or (Suspicion.LEAK if is_leak else None)
    return dataclasses.replace(column, alone=alone, suspicion=suspicion)
