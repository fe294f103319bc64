"""Opens the metadata; everything that reads or writes them comes through here.

    with open_store(config) as handle:
        handle.store.get_executions()

A handle holds no password: it is read each time that the store is opened.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tfx.orchestration import metadata

from pipeline.metadata.config import MetadataConfig
from pipeline.metadata.opening import PATIENCE, open_mlmd

if TYPE_CHECKING:
    from pipeline.config import RunConfig


class StoreHandle(metadata.Metadata):
    """TFX's handle of a store, which its launcher opens once and again in the life of a node.

    Args:
        metadata_config: the `metadata` section.
        pipeline_root: the pipeline's folder.
        read_only: a file that does not exist is an error rather than made.
    """

    def __init__(
        self, metadata_config: MetadataConfig, pipeline_root: Path, read_only: bool = False
    ) -> None:
        super().__init__(None)
        self._opened = (metadata_config, pipeline_root, read_only)

    def __enter__(self) -> StoreHandle:
        if self._users == 0:
            self._store = open_mlmd(*self._opened, patience=PATIENCE)
        self._users += 1
        return self


def store_handle(config: RunConfig, read_only: bool = False) -> StoreHandle:
    """Returns a handle of a pipeline's metadata, not opened yet: for TFX's launcher."""
    return StoreHandle(config.metadata, config.pipeline_root, read_only)


@contextlib.contextmanager
def open_store(config: RunConfig, read_only: bool = False) -> Iterator[StoreHandle]:
    """Opens a pipeline's metadata.

    Raises:
        MetadataError: if they cannot be had.
    """
    with store_handle(config, read_only) as handle:
        yield handle
