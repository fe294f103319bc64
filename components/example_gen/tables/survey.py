"""What a first pass over a table tells: the kinds of values of each column, and the times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.example_gen.config import ColumnType
from components.example_gen.splitting import TimeCounts
from components.example_gen.tables.types import Kinds, convert

_DATE = r"\d{4}-\d{2}-\d{2}"


class Survey(NamedTuple):
    """What is known of all rows, or of those of one piece.

    Attributes:
        kinds: by column.
        times: of the column that splits go by; None where they do not go by time.
    """

    kinds: Mapping[str, Kinds]
    times: TimeCounts | None = None

    @classmethod
    def merge(cls, parts: Sequence[Survey]) -> Survey:
        """Adds up surveys; their order is no matter."""
        found: dict[str, Kinds] = {}
        for part in parts:
            for name, kinds in part.kinds.items():
                found[name] = found.get(name, Kinds()).plus(kinds)
        times = [part.times for part in parts if part.times is not None]
        return cls(found, TimeCounts.merge(times) if times else None)

    def types(self, wanted: Mapping[str, ColumnType]) -> dict[str, ColumnType]:
        """Returns the type that each column is read as; see `Kinds.resolve`."""
        return {name: kinds.resolve(wanted.get(name)) for name, kinds in self.kinds.items()}


def times_of(values: pa.Array) -> np.ndarray:
    """Returns a column's times as numbers, [rows] float64, NaN where there is none.

    Args:
        values: numbers, which are taken as they are, or texts of numbers or of ISO 8601 such as
            `2026-01-31 08:30:00`, which become seconds since 1970.
    """
    import pandas as pd

    numbers = convert(values, "float") if not _is_text(values.type) else None
    if numbers is not None:
        wide = pc.if_else(pa.array(numbers.bad), None, values.cast(pa.float64()))
        return np.array(wide.to_numpy(zero_copy_only=False), np.float64)
    texts = pd.Series(values.to_numpy(zero_copy_only=False))
    found = pd.to_numeric(texts, errors="coerce").to_numpy(np.float64)
    others = np.isnan(found) & texts.str.match(_DATE).fillna(False).to_numpy(bool)
    if others.any():
        parsed = pd.to_datetime(texts[others], errors="coerce", utc=True)
        found[others] = np.where(parsed.isna(), np.nan, parsed.astype("int64") / 1e9)
    return np.where(np.isfinite(found), found, np.nan)


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)
