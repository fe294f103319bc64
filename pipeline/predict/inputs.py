"""From the ROWS of a command to what reads them."""

from __future__ import annotations

import glob
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

from pipeline.config_file import ConfigError, Problem
from pipeline.predict.image_rows import ImageRows, is_image
from pipeline.predict.record_rows import RecordRows, is_tfrecord
from pipeline.predict.rows import Row, Rows
from pipeline.predict.text_rows import TextRows
from serving.client.metadata import Signature

Kind = Literal["auto", "csv", "json", "images", "tfrecord"]
KINDS: tuple[str, ...] = get_args(Kind)


def open_rows(patterns: Sequence[str], kind: str) -> Rows:
    """Returns the rows of files, folders and patterns.

    Args:
        kind: of `KINDS`; `auto` goes by the names: pictures and folders, files with `tfrecord` in
            their name, any other as text.

    Raises:
        ConfigError: if there are no such files, they are of several kinds, or hold nothing.
    """
    paths = [path for pattern in patterns for path in _matches(pattern)]
    kinds = {path: _kind(path) if kind == "auto" else kind for path in paths}
    if len(set(kinds.values())) > 1:
        found = ", ".join(f"{path} ({kind})" for path, kind in itertools.islice(kinds.items(), 4))
        raise ConfigError(Problem("predict", "ROWS", found, "files of one kind"))
    (found_kind,) = set(kinds.values())
    if found_kind == "images":
        return ImageRows(paths)
    if found_kind == "tfrecord":
        return RecordRows(paths)
    texts = [TextRows(path, None if found_kind == "text" else found_kind) for path in paths]
    return texts[0] if len(texts) == 1 else ChainedRows(texts)


class ChainedRows:
    """The rows of several files, one after the other."""

    def __init__(self, parts: Sequence[Rows]) -> None:
        self._parts = parts
        self.total: int | None = None

    def read(self, signature: Signature) -> Iterator[Row]:
        """Yields the rows, file by file."""
        for part in self._parts:
            yield from part.read(signature)


def _matches(pattern: str) -> list[str]:
    """Returns the files of a pattern; what matches nothing is left for its reader to refuse."""
    if pattern == "-" or Path(pattern).exists():
        return [pattern]
    return sorted(glob.glob(pattern, recursive=True)) or [pattern]


def _kind(path: str) -> str:
    if path == "-":
        return "text"
    if Path(path).is_dir() or is_image(Path(path)):
        return "images"
    return "tfrecord" if is_tfrecord(Path(path)) else "text"
