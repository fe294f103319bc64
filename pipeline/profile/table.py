"""Looks at a table: its columns, its label, and what should not be learned from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.example_gen.source import DataError
from pipeline.profile.columns import ColumnProfile, Suspicion, profile_column
from pipeline.profile.label import (
    LEAK,
    LEAK_OF_EXPRESSION,
    LabelProfile,
    power_alone,
    profile_label,
)

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
        is_all: whether these are all.
        bad: rows among them that cannot be used, as text.
    """

    data: Mapping[str, Any]
    columns: Sequence[ColumnProfile]
    label: LabelProfile
    rows: int
    is_all: bool
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
    from pydantic import TypeAdapter

    from components.example_gen.config import DataConfig
    from components.example_gen.sources import make_source
    from components.example_gen.tables.source import TableSource

    adapter: TypeAdapter[DataConfig] = TypeAdapter(DataConfig)
    names = make_source(adapter.validate_python({**data, "label": _LABEL})).columns
    of_label, used = _label_keys(label, names, str(data["path"]))
    source = make_source(adapter.validate_python({**data, **of_label}))
    assert isinstance(source, TableSource), "the other sources are not tables"
    excerpt = source.excerpt(ROWS)
    name = of_label["label"]
    found = excerpt.columns[name]
    if not len(found):
        raise DataError(f"{data['path']}: found no good row; the first: {excerpt.bad[0]}")
    try:
        about = profile_label(name, found, problem)
    except ValueError as error:
        raise DataError(f"{data['path']}: label {label!r}: {error}") from None
    columns = []
    for column, values in excerpt.columns.items():
        if column != name:
            alone = power_alone(values, found, about.problem)
            columns.append(_with_leak(profile_column(column, values), alone, column in used))
    return TableProfile(
        {**data, **of_label}, columns, about, len(found), excerpt.is_all,
        [str(row) for row in excerpt.bad],
    )  # fmt: skip


def profile_arrays(
    data: Mapping[str, Any], label: str | None, problem: str | None
) -> TableProfile | None:
    """Looks at arrays; None if they are pictures.

    Raises:
        DataError: if the data or the label cannot be used.
        ValueError: if no label is named and none is called `y` or `label`.
    """
    raise NotImplementedError


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
