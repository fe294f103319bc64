"""Sources that make their rows one by one in Python: pictures, arrays and bundled data sets."""

from __future__ import annotations

import abc
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from components.example_gen.config import SPLITS, SplitsConfig
from components.example_gen.source import BadRow, Batch, DataSource, Row
from components.example_gen.splitting import digests, hashed

_BATCH_ROWS = 1000
_SHARD_ROWS = 10_000
_MOST_SHARDS = 64


class RowSource(DataSource):
    """Reads all rows in one piece.

    Args:
        splits: their shares and seed.
    """

    def __init__(self, splits: SplitsConfig) -> None:
        self._shares = splits

    @abc.abstractmethod
    def row_counts(self) -> Mapping[Sequence[str], int]:
        """Returns how many rows may fall into each set of splits, without reading them."""

    @abc.abstractmethod
    def rows(self) -> Iterator[Row | BadRow]:
        """Yields every row, and what stands where one should.

        Raises:
            DataError: if no further row can be read.
        """

    def sample(self, count: int) -> list[Mapping[str, Any]]:
        good = (row for row in self.rows() if isinstance(row, Row))
        return [row.features for row in itertools.islice(good, count)]

    def pieces(self) -> Sequence[str]:
        return ["all"]

    def shards(self) -> int:
        rows = sum(self.row_counts().values())
        return min(max(1, rows // _SHARD_ROWS), _MOST_SHARDS)

    def read(self, piece: str, survey: None) -> Iterator[Batch]:
        rows = self.rows()
        while part := list(itertools.islice(rows, _BATCH_ROWS)):
            yield self._batch(part)

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


def all_but(own: Sequence[str]) -> tuple[str, ...]:
    """Returns the splits that are taken from train, where a source brings others of its own."""
    return tuple(split for split in SPLITS if split not in own)
