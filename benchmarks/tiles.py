"""More rows of a CSV: its own, over and over."""

from __future__ import annotations

import itertools
from pathlib import Path


def tile(source: Path, rows: int, target: Path) -> None:
    """Writes a CSV with the header of another and `rows` of its rows, from the first on again.

    A row is a line: fields with line breaks in them are not known here.

    Raises:
        ValueError: if the CSV has no rows.
    """
    with source.open("rb") as file:
        header = file.readline()
        if not file.readline().strip():
            raise ValueError(f"{source}: found no rows; allowed: a CSV with a header and rows")
    with target.open("wb") as tiled:
        tiled.write(header)
        left = rows
        while left:
            with source.open("rb") as file:
                file.readline()
                for line in itertools.islice(file, left):
                    tiled.write(line if line.endswith(b"\n") else line + b"\n")
                    left -= 1
