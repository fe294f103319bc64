"""A CSV file that grows with a training and is cut back to the checkpoint that it goes on from."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainer_module.callbacks.files import write_whole

STEP = "step"


class Table:
    """Rows of one set of columns, the column `step` among them.

    The columns are those of the first row that is added, or of the file that is there.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._columns: list[str] = []
        self._rows: list[dict[str, str]] = []

    def resume(self, step: int) -> None:
        """Takes over the rows of a file up to a step; those beyond will come again."""
        self._columns, self._rows = [], []
        if step == 0 or not os.path.exists(self._path):
            return
        with Path(self._path).open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            self._rows = [row for row in reader if int(row[STEP]) <= step]
            self._columns = list(reader.fieldnames or [])

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        """Adds the rows of a step and writes the file.

        They replace those of the same step: of an evaluation that a checkpoint owes, the file has
        rows already if an earlier run was killed before it had saved.

        Args:
            rows: a value without a column of its own is left out.
        """
        self._columns = self._columns or list(rows[0])
        self._rows = [row for row in self._rows if int(row[STEP]) < rows[0][STEP]]
        self._rows += [{name: str(row.get(name, "")) for name in self._columns} for row in rows]
        text = io.StringIO()
        writer = csv.DictWriter(text, self._columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows)
        write_whole(self._path, text.getvalue())
