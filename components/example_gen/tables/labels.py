"""The label of each row: a column, or an expression of columns; and which labels are none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.example_gen.source import DataError
from components.example_gen.tables.expression import Expression
from components.example_gen.tables.types import wide_numbers

Columns = Mapping[str, pa.Array]

_NAMES = {"int64": "int", "float": "float", "binary": "text"}


class LabelColumn(NamedTuple):
    """Labels by an expression.

    Attributes:
        values: [rows] int64 (0 and 1 of a comparison), float32 or binary; null where it has none.
        missing: [rows] bool, by the column of the expression that has no value there.
    """

    values: pa.Array
    missing: Mapping[str, np.ndarray]


def by_expression(expression: Expression, columns: Columns, raw: Columns) -> LabelColumn:
    """Returns what an expression makes of each row.

    Computed of the numbers as they were read, in float64: a trip whose tip is just a fifth of its
    fare is then on the same side as in a spreadsheet, which float32 leaves to chance.

    Args:
        columns: typed, [rows] each.
        raw: as they were read; what is not there is null in `columns`.

    Raises:
        DataError: if its operators do not go with the types of the columns.
    """
    missing = {name: _numpy(columns[name].is_null()) for name in expression.columns}
    operands = {
        name: _operand(name, columns[name], raw.get(name, columns[name]))
        for name in expression.columns
    }
    try:
        found = expression.evaluate(operands)
    except TypeError as error:
        types = ", ".join(
            f"{name} is {_NAMES[str(columns[name].type)]}" for name in expression.columns
        )
        raise DataError(
            f"data.label_expression: {error}, where {types}; allowed: operators that go with them"
        ) from None
    nothing = np.logical_or.reduce(list(missing.values()))
    if found.dtype == bool:
        found = found.astype(np.int64)
    if found.dtype == object:
        return LabelColumn(pa.array(found, pa.binary(), mask=nothing), missing)
    if found.dtype.kind == "f":
        with np.errstate(over="ignore"):
            found = found.astype(np.float32)
        return LabelColumn(pa.array(found, mask=nothing | ~np.isfinite(found)), missing)
    return LabelColumn(pa.array(found.astype(np.int64), mask=nothing), missing)


def unfit(label: pa.Array, allowed: Sequence[Any] | None) -> Iterator[tuple[np.ndarray, str]]:
    """Yields the rows whose label is none or not allowed, [rows] bool, and what is allowed."""
    yield _numpy(label.is_null()), "a label in every row"
    if allowed is not None:
        texts = [str(value).encode() for value in allowed]
        known = pc.is_in(label.cast(pa.string()).cast(pa.binary()), pa.array(texts, pa.binary()))
        names = ", ".join(map(str, allowed[:10])) + (", ..." if len(allowed) > 10 else "")
        yield ~_numpy(known), f"one of {names}"


def _operand(name: str, values: pa.Array, raw: pa.Array) -> np.ndarray:
    if pa.types.is_list(values.type):
        raise DataError(
            f"data.label_expression: {name} is a list in every row; allowed: columns of one value"
        )
    if pa.types.is_binary(values.type):
        texts = [None if value is None else value.decode() for value in values.to_pylist()]
        return np.array(texts, object)
    if pa.types.is_integer(values.type):
        return _numpy(pc.fill_null(values, 0))
    return _numpy(pc.fill_null(wide_numbers(raw).values, 0.0))


def _numpy(values: pa.Array) -> np.ndarray:
    return values.to_numpy(zero_copy_only=False)
