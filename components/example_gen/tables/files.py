"""Which files make up a table: one, a folder's, a pattern's, those of spans, or those of splits."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from components.example_gen.config import SPLITS, TableConfig
from components.example_gen.file_access import exists, is_folder, list_files, resolved, told
from components.example_gen.source import DataError
from components.example_gen.spans import has_span, latest_spans

SPLIT_FOLDERS = {"train": "train", "eval": "eval", "val": "eval", "test": "test"}
"""The split that each folder holds."""


class TableFile(NamedTuple):
    """A file of a table.

    Attributes:
        split: that its folder says it is; None where no folder does.
        span: the number of the span that it belongs to; None where there are none.
    """

    path: str
    split: str | None
    span: int | None


def table_files(config: TableConfig, suffixes: Sequence[str]) -> list[TableFile]:
    """Returns the files that a configuration names, in the order of their names.

    Raises:
        DataError: if there are none, or the folders are not those of splits where they should be.
    """
    allowed = f"a file, a folder of {' or '.join(suffixes)} files, or a pattern such as data/*"
    spans = spans_read(config)
    paths: list[tuple[int | None, str]] = [
        (span, path) for span, places in spans.items() for path in places
    ]
    found: list[TableFile] = []
    for span, path in paths or [(None, config.path)]:
        if config.splits.by == "folder":
            found += _in_folders(path, suffixes, allowed, span)
        else:
            found += [TableFile(file, None, span) for file in list_files(path, suffixes, allowed)]
    return found


def spans_read(config: TableConfig) -> dict[int, list[str]]:
    """Returns the spans that a configuration names, their paths by number; none if it names none.

    Raises:
        DataError: if it names some that are not there.
    """
    if has_span(config.path):
        return latest_spans(config.path, config.window, config.span)
    if config.span is not None:
        allowed = "null, since data.path names no spans"
        raise DataError.at(config.path, f"span {config.span}", allowed)
    return {}


def _in_folders(
    path: str, suffixes: Sequence[str], allowed: str, span: int | None
) -> list[TableFile]:
    root = resolved(path)
    folders = {name: os.path.join(root, name) for name in SPLIT_FOLDERS}
    wanted = f"the folders {', '.join(SPLITS)}, since data.splits.by is folder"
    with told(root, wanted):
        if not exists(root):
            raise DataError.at(root, "no such folder", wanted)
        folders = {name: folder for name, folder in folders.items() if is_folder(folder)}
    if "train" not in folders:
        raise DataError.at(root, "no folder train", wanted)
    if "eval" in folders and "val" in folders:
        raise DataError.at(root, "both eval and val", "one of them")
    return [
        TableFile(file, SPLIT_FOLDERS[name], span)
        for name, folder in folders.items()
        for file in list_files(folder, suffixes, allowed)
    ]
