"""What every benchmark ends with: a table on stdout, and its rows as JSON in `build/bench`."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "build" / "bench"

Value = str | float | None
Row = Mapping[str, Value]


@dataclass(frozen=True)
class Column:
    """One column: the rows' key, its heading, and how its numbers are formatted."""

    key: str
    heading: str
    number: str = ".2f"


@dataclass(frozen=True)
class Spread:
    """Median, lowest and highest of what was measured in each round."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


def format_table(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """Returns lines of aligned columns: text to the left, numbers to the right, None left blank.

    Raises:
        KeyError: if a row lacks a column.
    """
    cells = [[column.heading for column in columns]]
    cells += [[_cell(row[column.key], column.number) for column in columns] for row in rows]
    widths = [max(len(line[place]) for line in cells) for place in range(len(columns))]
    text = [any(isinstance(row[column.key], str) for row in rows) for column in columns]
    lines = (
        "  ".join(
            cell.ljust(width) if is_text else cell.rjust(width)
            for cell, width, is_text in zip(line, widths, text, strict=True)
        )
        for line in cells
    )
    return "\n".join(line.rstrip() for line in lines)


def write_json(target: str, rows: Sequence[Row], folder: Path = FOLDER) -> Path:
    """Writes the rows as a JSON list to `<target>.json`, beside it first: it is whole or absent.

    Raises:
        ValueError: if a number is not finite; JSON has no word for it.
    """
    text = json.dumps(list(rows), indent=2, allow_nan=False) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{target}.json"
    partial = path.with_suffix(".json.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
    return path


def _cell(value: Value, number: str) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else format(value, number)
