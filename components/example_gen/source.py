"""What ExampleGen asks of a source of data. Imports no TensorFlow, nor do the sources on import."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np


class DataError(ValueError):
    """Data that cannot be read, or are not laid out as they should be.

    Made of one text, as Beam's workers make errors again to add to them; see `at`.
    """

    @classmethod
    def at(cls, where: str, found: str, allowed: str) -> DataError:
        """Returns the error of a file, or of an archive and a file in it."""
        return cls(f"{where}: {found}; allowed: {allowed}")


class Origin(NamedTuple):
    """What rows come from, as far as it is known without reading it.

    Attributes:
        kind: `file`, `folder`, `dataset` (one that a library brings) or `query`.
        name: the path, the data set's name, or the text of the query.
        paths: of a folder, the files in it that are read, as they lie under it.
        span: the number of the span that a file belongs to; None where there are none.
        version: of the library.
    """

    kind: str
    name: str
    paths: Sequence[str] = ()
    span: int | None = None
    version: str = ""


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
        where: the file, and the line, row or record in it.
        column: the one at fault; "" where the row as a whole is.
        found: the value, or what else was found, as text.
        allowed: what could have stood there.
        row: what was read of it, as text, where that can be shown.
    """

    where: str
    column: str
    found: str
    allowed: str
    row: str = ""

    def __str__(self) -> str:
        column = f"column {self.column!r}: " if self.column else ""
        return f"{self.where}: {column}found {self.found}; allowed: {self.allowed}"


@dataclass(frozen=True)
class Batch:
    """Rows that were read together, those that are examples and those that are none.

    Attributes:
        serialized: tf.Examples.
        splits: the place in SPLITS of each example, [examples] int8.
        digests: a hash of each example's content, [examples], any order that means nothing.
        bad: the other rows.
    """

    serialized: Sequence[bytes]
    splits: np.ndarray
    digests: Sequence[bytes]
    bad: Sequence[BadRow] = field(default=())


class DataSet(abc.ABC):
    """Data as far as they are known without reading them."""

    @property
    @abc.abstractmethod
    def columns(self) -> Sequence[str]:
        """The names of the columns, the label's among them, known without reading the rows."""

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
    def origins(self) -> Sequence[Origin]:
        """Returns all that the rows come from; ExampleGen puts down what it held when read.

        Files by their paths where each means something to a person, one folder where they are
        thousands.

        Raises:
            DataError: if the files cannot be listed.
        """


class DataSource(DataSet):
    """Where rows come from: pieces that can be read apart from each other, on any worker."""

    def row_counts(self) -> Mapping[Sequence[str], int] | None:
        """Returns how many rows may fall into each set of splits; None if that takes reading."""
        return None

    def size(self) -> int:
        """Returns the bytes of the files that are read; 0 where the source does not tell."""
        return 0

    def span(self) -> int:
        """Returns the number of the last span that is read, a date's in days since 1970.

        0, as TFX has it, where the source knows no spans.
        """
        return 0

    @abc.abstractmethod
    def sample(self, count: int) -> list[Mapping[str, Any]]:
        """Returns the first rows that are good: a value, or a list, by column; missing ones not.

        Raises:
            DataError: if no row can be read.
        """

    @abc.abstractmethod
    def pieces(self) -> Sequence[Any]:
        """Returns pieces of all the data, which can be pickled."""

    def shards(self) -> int:
        """Returns how many files each split of a piece is written to; each takes rows at random."""
        return 1

    def survey(self, piece: Any) -> Any:
        """Returns what `read` needs to know of all the data, as far as this piece goes."""
        return None

    def merge(self, surveys: Sequence[Any]) -> Any:
        """Returns the survey of all the data from those of its pieces; their order is no matter."""
        return None

    @abc.abstractmethod
    def read(self, piece: Any, survey: Any) -> Iterator[Batch]:
        """Yields the rows of a piece.

        Args:
            survey: that of all pieces, merged.

        Raises:
            DataError: if the piece cannot be read at all.
        """
