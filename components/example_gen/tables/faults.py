"""Collects what is wrong with the rows of a table: of each row the first thing that is found."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from components.example_gen.source import BadRow
from components.example_gen.tables.reader import Table

_LONGEST = 80


class Faults:
    """The bad rows of one table.

    Attributes:
        bad: [rows] bool.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._found: dict[int, BadRow] = {}
        self.bad = np.zeros(table.rows, bool)

    def add(self, column: str, bad: np.ndarray, values: pa.Array | None, allowed: str) -> None:
        """Notes bad values of a column.

        Args:
            bad: [rows] bool.
            values: as they were read, [rows]; None where the column is not there at all.
        """
        for number in np.flatnonzero(bad & ~self.bad).tolist():
            value = "no such column" if values is None else _shown(values[number].as_py())
            self._found[number] = BadRow(
                self._table.where(number), column, value, allowed, self._table.shown(number)
            )
        self.bad |= bad

    def rows(self) -> list[BadRow]:
        """Returns the bad rows in the table's order."""
        return [self._found[number] for number in sorted(self._found)]


def _shown(value: object) -> str:
    if value is None or value == "":
        return "nothing"
    text = repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
