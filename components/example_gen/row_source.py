"""Sources that make their rows one by one in Python: pictures, arrays and bundled data sets."""

from __future__ import annotations

import abc
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from components.example_gen.config import SplitsConfig
from components.example_gen.source import BadRow, Batch, DataSet, DataSource, Origin, Row
from components.example_gen.splitting import digests, hashed

_BATCH_ROWS = 1000
_SHARD_ROWS = 10_000
_MOST_SHARDS = 64


class RowSource(DataSet):
    """Where rows come from that are read one after the other."""

    @abc.abstractmethod
    def row_counts(self) -> Mapping[Sequence[str], int]:
        """Returns how many rows may fall into each set of splits, without reading them."""

    @abc.abstractmethod
    def rows(self) -> Iterator[Row | BadRow]:
        """Yields every row, and what stands where one should.

        Raises:
            DataError: if no further row can be read.
        """


class RowsAsPiece(DataSource):
    """All rows of a source as one piece.

    Attributes:
        rows_source: of the rows.

    Args:
        source: of the rows.
        label: the column.
        splits: shares and seed.
        label_values: what the label may be; None for anything.
    """

    def __init__(
        self,
        source: RowSource,
        label: str,
        splits: SplitsConfig,
        label_values: Sequence[Any] | None = None,
    ) -> None:
        self.rows_source = source
        self._label = label
        self._shares = splits
        self._label_values = None if label_values is None else frozenset(label_values)

    @property
    def columns(self) -> Sequence[str]:
        return self.rows_source.columns

    @property
    def class_names(self) -> Sequence[str] | None:
        return self.rows_source.class_names

    def check(self) -> None:
        self.rows_source.check()

    def fingerprint(self) -> str:
        return self.rows_source.fingerprint()

    def origins(self) -> Sequence[Origin]:
        return self.rows_source.origins()

    def row_counts(self) -> Mapping[Sequence[str], int]:
        return self.rows_source.row_counts()

    def sample(self, count: int) -> list[Mapping[str, Any]]:
        good = (row for row in self.rows_source.rows() if isinstance(row, Row))
        return [row.features for row in itertools.islice(good, count)]

    def pieces(self) -> Sequence[str]:
        return ["all"]

    def shards(self) -> int:
        rows = sum(self.row_counts().values())
        return min(max(1, rows // _SHARD_ROWS), _MOST_SHARDS)

    def read(self, piece: str, survey: None) -> Iterator[Batch]:
        rows = self._checked()
        while part := list(itertools.islice(rows, _BATCH_ROWS)):
            yield self._batch(part)

    def _checked(self) -> Iterator[Row | BadRow]:
        """Yields the rows; one whose label is not allowed as a bad one."""
        for number, row in enumerate(self.rows_source.rows(), start=1):
            label = row.features.get(self._label) if isinstance(row, Row) else None
            if self._label_values is None or isinstance(row, BadRow) or label in self._label_values:
                yield row
            else:
                allowed = "one of " + ", ".join(sorted(map(str, self._label_values))[:10])
                yield BadRow(f"row {number}", self._label, repr(label), allowed)

    def _batch(self, part: Sequence[Row | BadRow]) -> Batch:
        from components.example_gen.examples import to_example

        good = [row for row in part if isinstance(row, Row)]
        # Deterministically, since a protobuf map has no order of its own and the split goes by the
        # bytes.
        serialized = [
            to_example(row.features).SerializeToString(deterministic=True) for row in good
        ]
        found = digests(serialized, self._shares.seed)
        splits = np.zeros(len(good), np.int8)
        candidates = np.array([",".join(row.splits) for row in good])
        for among in set(candidates):
            chosen = np.flatnonzero(candidates == among)
            splits[chosen] = hashed([found[i] for i in chosen], among.split(","), self._shares)
        bad = [row for row in part if isinstance(row, BadRow)]
        return Batch(serialized, splits, found, bad)
