"""Rows of CSV and JSON, read as they are needed."""

from __future__ import annotations

import base64
import csv
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from pipeline.config_file import ConfigError, Problem
from pipeline.predict.rows import Cell, Row
from serving.client.metadata import Signature

# A cell may be an image, or a vector as JSON.
csv.field_size_limit(2**31 - 1)


class TextRows:
    """Rows of a file of JSON (an object, a list of objects, or one object a line) or CSV.

    CSV has a header. Bytes are given as TF Serving takes them, `{"b64": "<base64>"}`. CSV and
    JSON lines are read line by line, so that a file may be larger than memory.

    Args:
        path: of the file; - is stdin.
        kind: `csv` or `json`; None to see it by the first letter.

    Raises:
        ConfigError: if the file cannot be read, or is empty.
    """

    def __init__(self, path: str, kind: str | None = None) -> None:
        self.path = path
        self.total: int | None = None
        self._lines: Iterator[tuple[int, str]] = enumerate(self._read_lines(), start=1)
        first = next(((number, line) for number, line in self._lines if line.strip()), None)
        if first is None:
            raise self._problem("rows", "none", "JSON objects, or CSV with a header")
        self._is_json = kind == "json" if kind else first[1].lstrip()[0] in "[{"
        self._lines = itertools.chain([first], self._lines)

    def read(self, signature: Signature) -> Iterator[Row]:
        """Yields the rows; those of JSON with all their features."""
        found = self._json_rows() if self._is_json else self._csv_rows()
        for number, features in enumerate(found, start=1):
            if not isinstance(features, dict):
                raise self._problem(f"row {number}", _short(features), "an object of features")
            row = Row(self.path, f"row {number}", features, {})
            yield Row(
                self.path,
                row.position,
                {name: _with_bytes(value, row, name) for name, value in features.items()},
                {},
            )

    def _read_lines(self) -> Iterator[str]:
        try:
            # csv's way of newlines: a cell may hold some.
            with _open(self.path) as file:
                yield from file
        except (OSError, UnicodeDecodeError) as error:
            found = getattr(error, "strerror", None) or str(error)
            raise self._problem("ROWS", found, "a file of JSON or CSV in UTF-8") from error

    def _csv_rows(self) -> Iterator[dict[str, Any]]:
        reader = csv.reader((line for _, line in self._lines), strict=True)
        try:
            header = next(reader)
            twice = sorted({name for name in header if header.count(name) > 1})
            if twice:
                raise self._problem("header", f"{', '.join(twice)} twice", "each column once")
            number = 0
            for number, cells in enumerate(filter(None, reader), start=1):
                if len(cells) != len(header):
                    allowed = f"{len(header)}, as the header has"
                    raise self._problem(f"row {number}", f"{len(cells)} cells", allowed)
                yield dict(zip(header, map(Cell, cells), strict=True))
        except csv.Error as error:
            raise self._problem(f"line {reader.line_num}", str(error), "CSV") from error
        if number == 0:
            raise self._problem("rows", "a header alone", "one row or more")

    def _json_rows(self) -> Iterator[Any]:
        number, first = next(self._lines)
        try:
            row = json.loads(first)
        except json.JSONDecodeError:
            yield from self._whole_json(number, first)
            return
        rows = row if isinstance(row, list) else [row]
        if not rows:
            raise self._problem("rows", "none", "one object or more")
        yield from rows
        for number, line in self._lines:
            if line.strip():
                try:
                    yield json.loads(line)
                except json.JSONDecodeError as error:
                    raise self._broken(number, line, error) from error

    def _whole_json(self, number: int, first: str) -> Iterator[Any]:
        """Yields the rows of a file that is one object or list, over several lines."""
        try:
            whole = json.loads(first + "".join(line for _, line in self._lines))
        except json.JSONDecodeError as later:
            line = later.doc.splitlines()[later.lineno - 1] if later.doc.strip() else ""
            raise self._broken(number + later.lineno - 1, line, later) from later
        rows = whole if isinstance(whole, list) else [whole]
        self.total = len(rows)
        yield from rows

    def _broken(self, number: int, line: str, error: json.JSONDecodeError) -> ConfigError:
        return self._problem(f"line {number}", line.strip()[:60], f"JSON ({error.msg})")

    def _problem(self, key: str, found: str, allowed: str) -> ConfigError:
        return ConfigError(Problem(self.path, key, found, allowed))


def _open(path: str) -> IO[str]:
    if path == "-":
        return open(sys.stdin.fileno(), encoding="utf-8-sig", newline="", closefd=False)
    return Path(path).open(encoding="utf-8-sig", newline="")


def _with_bytes(value: Any, row: Row, field: str) -> Any:
    """Returns a value with the bytes that TF Serving's REST interface means by it."""
    if isinstance(value, list):
        return [_with_bytes(item, row, field) for item in value]
    if not isinstance(value, dict):
        return value
    try:
        if list(value) != ["b64"]:
            raise ValueError("an object with other keys")
        return base64.b64decode(value["b64"], validate=True)
    except (TypeError, ValueError) as error:
        raise row.refused(field, str(error), '{"b64": "<base64>"}') from error


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
