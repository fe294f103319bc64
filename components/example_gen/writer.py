"""Writes the rows of one piece: each split into files of its own, the bad rows aside.

A file has its name only when it is whole. Names follow from the number of the piece, so that a
piece that an engine reads twice, after a worker died, leaves the same files.
"""

from __future__ import annotations

import os
import uuid
from contextlib import ExitStack
from types import TracebackType

import tensorflow as tf

from components.example_gen.config import SPLITS
from components.example_gen.intake import QUARANTINE, Intake, quarantine_line
from components.example_gen.source import Batch

PARTIAL = "partial"
"""Folder of files that are not whole yet; whoever has run all pieces takes it away."""

_GZIP = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=1)


class PieceWriter:
    """Writes batches, as a context manager.

    Attributes:
        intake: the account of what was written so far.

    Args:
        uri: of the Examples artifact.
        number: of the piece.
        shards: files a split; a row's digest chooses.
    """

    def __init__(self, uri: str, number: int, shards: int) -> None:
        self._uri = uri
        self._number = number
        self._shards = shards
        self._attempt = uuid.uuid4().hex
        self._stack = ExitStack()
        self._records: dict[str, tf.io.TFRecordWriter] = {}
        self._quarantine: tf.io.gfile.GFile | None = None
        self._partial: dict[str, str] = {}
        self.intake = Intake()

    def __enter__(self) -> PieceWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
        for final, partial in self._partial.items():
            if kind is None:
                tf.io.gfile.rename(partial, final, overwrite=True)
            else:
                tf.io.gfile.remove(partial)

    def write(self, batch: Batch) -> None:
        """Writes a batch, its rows in the order of their digests: any order says nothing."""
        rows = zip(batch.digests, batch.splits.tolist(), batch.serialized, strict=True)
        for digest, split, serialized in sorted(rows):
            shard = int.from_bytes(digest[:8], "little") % self._shards
            self._writer(SPLITS[split], shard).write(serialized)
        for row in batch.bad:
            self._aside().write(quarantine_line(row) + "\n")
        self.intake = Intake.merge([self.intake, Intake.of(batch)])

    def _writer(self, split: str, shard: int) -> tf.io.TFRecordWriter:
        name = f"data_tfrecord-{self._number:05d}-{shard:03d}.gz"
        final = os.path.join(self._uri, f"Split-{split}", name)
        if final not in self._records:
            path = self._begin(final)
            self._records[final] = self._stack.enter_context(tf.io.TFRecordWriter(path, _GZIP))
        return self._records[final]

    def _aside(self) -> tf.io.gfile.GFile:
        if self._quarantine is None:
            final = os.path.join(self._uri, QUARANTINE, f"rows-{self._number:05d}.jsonl")
            file = tf.io.gfile.GFile(self._begin(final), "w")
            self._quarantine = self._stack.enter_context(file)
        return self._quarantine

    def _begin(self, final: str) -> str:
        """Returns where to write a file until it is whole: where nobody looks for examples."""
        folder = os.path.join(self._uri, PARTIAL, self._attempt)
        tf.io.gfile.makedirs(folder)
        tf.io.gfile.makedirs(os.path.dirname(final))
        self._partial[final] = os.path.join(folder, f"{len(self._partial)}")
        return self._partial[final]
