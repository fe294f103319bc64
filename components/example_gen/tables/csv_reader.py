"""CSV as RFC 4180 describes it: quotes, also around newlines, in any encoding that Python knows.

Python's own reader does the parsing: it says at which line a row ends, and fails a row rather than
a file.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from typing import IO, Any, NamedTuple

import pyarrow as pa

from components.example_gen.file_access import open_binary, size_of
from components.example_gen.source import BadRow, DataError
from components.example_gen.tables.reader import Table, TableReader
from components.example_gen.tables.types import Kinds, kinds_of_texts

_BATCH_CELLS = 500_000
_LARGEST_CELL = 2**24
_PART_BYTES = 32 * 2**20
_BLOCK = 2**20


class Part(NamedTuple):
    """Bytes of a file; `end` None for all to its end. `line` is the number of the first."""

    begin: int
    end: int | None
    line: int


class CsvReader(TableReader):
    """Reads CSV files with a header each.

    Args:
        delimiter: between cells.
        encoding: of the files; a byte order mark is no part of the first name.
        part_bytes: about how much of a file is read at once by one worker.
    """

    suffixes = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt")

    def __init__(
        self, delimiter: str = ",", encoding: str = "utf-8", part_bytes: int = _PART_BYTES
    ) -> None:
        self._delimiter = delimiter
        utf8 = codecs.lookup(encoding).name == "utf-8"
        self._encoding = "utf-8-sig" if utf8 else encoding
        self._can_split = utf8 or codecs.lookup(encoding).name in ("ascii", "iso8859-1", "cp1252")
        self._part_bytes = part_bytes

    def columns(self, path: str) -> Sequence[str]:
        with open_binary(path) as file:
            rows = self._rows(self._text(path, file), 1)
            _, names = next(rows, (1, []))
        where = f"{path}: line 1"
        allowed = f"a header: names of columns with {self._delimiter!r} between them"
        if isinstance(names, str) or not names:
            raise DataError.at(where, f"found {names or 'nothing'}", allowed)
        nameless = [number for number, name in enumerate(names, start=1) if not name.strip()]
        if nameless:
            raise DataError.at(where, f"found no name of column {nameless[0]}", allowed)
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DataError.at(where, f"found the name {twice[0]!r} twice", "each name once")
        undecoded = [name for name in names if not _is_text(name)]
        if undecoded:
            raise DataError.at(where, f"found {undecoded[0]!a}", f"names in {self._encoding}")
        return names

    def parts(self, path: str) -> Sequence[Part]:
        whole = [Part(0, None, 1)]
        if not self._can_split or _is_gzip(path) or size_of(path) <= self._part_bytes:
            return whole
        return _line_parts(path, self._part_bytes) or whole

    def tables(self, path: str, part: Part) -> Iterator[Table]:
        names = self.columns(path)
        batch = max(1, _BATCH_CELLS // len(names))
        with open_binary(path, part.begin, part.end) as file:
            rows = self._rows(self._text(path, file), part.line)
            if part.begin == 0:
                next(rows)
            lines: list[int] = []
            cells: list[list[str]] = []
            bad: list[BadRow] = []
            for line, row in rows:
                if isinstance(row, str):
                    bad.append(BadRow(f"{path}: line {line}", "", row, "a row of CSV"))
                elif len(row) != len(names):
                    allowed = f"{len(names)}, as the header has"
                    found = f"{len(row)} cells"
                    shown = self._joined(row)
                    bad.append(BadRow(f"{path}: line {line}", "", found, allowed, shown))
                else:
                    lines.append(line)
                    cells.append(row)
                if len(cells) + len(bad) >= batch:
                    yield self._table(path, names, lines, cells, bad)
                    lines, cells, bad = [], [], []
            if cells or bad:
                yield self._table(path, names, lines, cells, bad)

    def about_rows(self, path: str, part: Part) -> int:
        with open_binary(path, part.begin, part.end) as file:
            binary: Any = gzip.GzipFile(fileobj=file) if _is_gzip(path) else file
            try:
                content = binary.read(_BLOCK)
            except (EOFError, OSError, zlib.error):
                return 0
        rows = sum(1 for _ in self._rows(self._decoding(io.BytesIO(content)), part.line))
        rows -= part.begin == 0
        if len(content) < _BLOCK:
            return rows
        size = (size_of(path) if part.end is None else part.end) - part.begin
        stored = len(zlib.compress(content)) if _is_gzip(path) else len(content)
        return rows * size // stored

    def kinds(self, values: pa.Array) -> Kinds:
        return kinds_of_texts(values)

    def _table(
        self,
        path: str,
        names: Sequence[str],
        lines: list[int],
        cells: list[list[str]],
        bad: list[BadRow],
    ) -> Table:
        try:
            columns = _columns(names, cells)
        except UnicodeEncodeError:
            lines, cells, undecoded = self._decoded(path, names, lines, cells)
            bad, columns = bad + undecoded, _columns(names, cells)
        return Table(
            columns,
            where=lambda number: f"{path}: line {lines[number]}",
            shown=lambda number: self._joined(cells[number]),
            bad=bad,
        )

    def _decoded(
        self, path: str, names: Sequence[str], lines: list[int], cells: list[list[str]]
    ) -> tuple[list[int], list[list[str]], list[BadRow]]:
        """Returns the rows that are text throughout, and the others as bad ones."""
        good, bad = [], []
        encoding = self._encoding.removesuffix("-sig")
        for line, row in zip(lines, cells, strict=True):
            wrong = next((number for number, cell in enumerate(row) if not _is_text(cell)), None)
            if wrong is None:
                good.append((line, row))
                continue
            found = repr(row[wrong].encode(encoding, "surrogateescape"))
            where, allowed = f"{path}: line {line}", f"text in {encoding}"
            bad.append(BadRow(where, names[wrong], found, allowed, self._joined(row)))
        return [line for line, _ in good], [row for _, row in good], bad

    def _rows(self, lines: Iterator[str], first: int) -> Iterator[tuple[int, list[str] | str]]:
        """Yields the line that each row begins at, and its cells, or what is wrong with it.

        Empty lines are no rows.
        """
        csv.field_size_limit(_LARGEST_CELL)
        reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
        while True:
            begin = first + reader.line_num
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                end = first + reader.line_num - 1
                yield begin, f"{error}" if end <= begin else f"{error} (lines {begin} to {end})"
                continue
            except (EOFError, OSError, UnicodeError, zlib.error) as error:
                yield begin, f"the end of what can be read ({error})"
                return
            if row:
                yield begin, row

    def _text(self, path: str, file: IO[bytes]) -> Iterator[str]:
        binary: Any = gzip.GzipFile(fileobj=file) if _is_gzip(path) else file
        return self._decoding(io.BufferedReader(binary, _BLOCK))

    def _decoding(self, binary: io.BufferedReader | io.BytesIO) -> Iterator[str]:
        # What does not decode is kept as surrogates, to be found in its cell.
        return io.TextIOWrapper(
            binary,
            encoding=self._encoding,
            errors="surrogateescape",
            newline="",
        )

    def _joined(self, row: Sequence[str]) -> str:
        text = self._delimiter.join(row)
        return text.encode(errors="backslashreplace").decode()


def read_start(path: str) -> bytes:
    """Returns the first bytes of a file, unzipped, as far as they are whole lines."""
    with open_binary(path) as file:
        binary: Any = gzip.GzipFile(fileobj=file) if _is_gzip(path) else file
        content = binary.read(2**16)
    whole = content.rfind(b"\n") + 1
    return content[:whole] if whole else content


def _columns(names: Sequence[str], cells: Sequence[Sequence[str]]) -> dict[str, pa.Array]:
    values = zip(*cells, strict=True) if cells else ((),) * len(names)
    return {name: pa.array(column, pa.string()) for name, column in zip(names, values, strict=True)}


def _is_text(text: str) -> bool:
    return text.isascii() or not any("\udc80" <= letter <= "\udcff" for letter in text)


def _is_gzip(path: str) -> bool:
    return path.endswith(".gz")


def _line_parts(path: str, size: int) -> list[Part]:
    """Divides a file at ends of lines; returns nothing if a row of it may span several lines.

    A line with an odd number of quotes may begin or end in the middle of a cell.
    """
    begins, lines = [0], [1]
    position, line = 0, 1
    with open_binary(path) as file:
        while block := file.read(size):
            block += file.readline()
            if b'"' in block and any(row.count(b'"') % 2 for row in block.split(b"\n")):
                return []
            position += len(block)
            line += block.count(b"\n")
            begins.append(position)
            lines.append(line)
    return [
        Part(begin, end, line)
        for begin, end, line in zip(begins, begins[1:], lines, strict=False)
        if end > begin
    ]
