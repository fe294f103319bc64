"""What ExampleGen asks of a source of data. Imports no TensorFlow, nor do the sources on import."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple


class DataError(ValueError):
    """Data that cannot be read, or are not laid out as they should be.

    Made of one text, as Beam's workers make errors again to add to them; see `at`.
    """

    @classmethod
    def at(cls, where: str, found: str, allowed: str) -> DataError:
        """Returns the error of a file, or of an archive and a file in it."""
        return cls(f"{where}: {found}; allowed: {allowed}")


class Row(NamedTuple):
    """One example to be.

    Attributes:
        splits: those that the row may fall into; the hash of its content chooses.
        features: by column: a number, a text, bytes, or a list of one of these.
    """

    splits: Sequence[str]
    features: Mapping[str, Any]


class BadRow(NamedTuple):
    """A row that no example can be made of, and why.

    Attributes:
        where: the file, and the line or the record in it.
        column: the one at fault; "" where the row as a whole is.
        found: the value, or what else was found, as text.
        allowed: what could have stood there.
    """

    where: str
    column: str
    found: str
    allowed: str


class DataSource(abc.ABC):
    """Where rows come from."""

    @property
    @abc.abstractmethod
    def columns(self) -> Sequence[str]:
        """The names of the columns, known without reading the rows."""

    @property
    @abc.abstractmethod
    def class_names(self) -> Sequence[str] | None:
        """The classes that the label names, sorted or in the source's order; None for numbers."""

    @abc.abstractmethod
    def check(self) -> None:
        """Checks what is quick to check: that the data exist, and their layout.

        Raises:
            DataError: at the first mistake.
        """

    @abc.abstractmethod
    def fingerprint(self) -> str:
        """Returns a text that changes when the data do."""

    @abc.abstractmethod
    def row_counts(self) -> Mapping[Sequence[str], int]:
        """Returns how many rows may fall into each set of splits, without reading them."""

    @abc.abstractmethod
    def rows(self) -> Iterator[Row | BadRow]:
        """Yields every row, and what stands where one should.

        Raises:
            DataError: if no further row can be read.
        """
