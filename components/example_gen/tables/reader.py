"""What a format of files of rows has to offer: batches of columns, and where each row stands."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import pyarrow as pa

from components.example_gen.source import BadRow
from components.example_gen.tables.types import Kinds


class Table(NamedTuple):
    """Rows as they were read.

    Attributes:
        columns: by name, [rows] each, as the format types them; texts where it has no types.
        where: number of a row in this table -> its file, and line or record.
        shown: number of a row -> the row as text.
        bad: what stood between these rows and was none.
    """

    columns: Mapping[str, pa.Array]
    where: Callable[[int], str]
    shown: Callable[[int], str]
    bad: Sequence[BadRow] = ()

    @property
    def rows(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0


class TableReader(abc.ABC):
    """Reads files of one format.

    Attributes:
        suffixes: of the files in a folder that are read.
        has_header: whether a file says which columns its rows have; if not, a column that no row
            of a table has is one without values.
    """

    suffixes: ClassVar[tuple[str, ...]]
    has_header: ClassVar[bool] = True

    @abc.abstractmethod
    def columns(self, path: str) -> Sequence[str]:
        """Returns the names of a file's columns, in its order.

        Raises:
            DataError: if the file has none, or cannot be read.
        """

    @abc.abstractmethod
    def parts(self, path: str) -> Sequence[Any]:
        """Returns parts of a file that can be read apart from each other."""

    @abc.abstractmethod
    def tables(self, path: str, part: Any) -> Iterator[Table]:
        """Yields the rows of a part, some thousand at a time.

        What cannot be read becomes a bad row of the table; nothing is left out.
        """

    @abc.abstractmethod
    def about_rows(self, path: str, part: Any) -> int:
        """Returns how many rows a part has, as its beginning tells; 0 if that does not read."""

    @abc.abstractmethod
    def kinds(self, values: pa.Array) -> Kinds:
        """Counts the values of a column by their kinds."""
