"""Whether a run will get at its metadata, found out before any work."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.config_file import ConfigError, Source
from pipeline.metadata.causes import explain
from pipeline.metadata.config import SQLITE_FILE, SqliteConfig
from pipeline.metadata.connection import place
from pipeline.metadata.errors import MetadataError
from pipeline.metadata.opening import open_mlmd

if TYPE_CHECKING:
    from pipeline.config import RunConfig

_LOCK_SECONDS = _PATIENCE = 5.0


def check_metadata(config: RunConfig, source: Source) -> None:
    """Opens the metadata as a run will; a server gets its tables, a file that is not there nothing.

    Raises:
        ConfigError: if they cannot be had.
    """
    try:
        if isinstance(config.metadata, SqliteConfig):
            path = config.pipeline_root / SQLITE_FILE
            if not path.exists():
                return
            _check_file(config, path)
        store = open_mlmd(config.metadata, config.pipeline_root, patience=_PATIENCE)
        if not isinstance(config.metadata, SqliteConfig):
            _check_name(config, store)
    except MetadataError as error:
        raise ConfigError(source.problem(error.key, error.found, error.allowed)) from error


def check_name(config: RunConfig, source: Source) -> None:
    """Sees that the pipeline of this name in a shared database is this one.

    Raises:
        ConfigError: if it is another.
        MetadataError: if the database cannot be had.
    """
    if isinstance(config.metadata, SqliteConfig):
        return
    store = open_mlmd(config.metadata, config.pipeline_root)
    try:
        _check_name(config, store)
    except MetadataError as error:
        if error.key != "name":
            raise
        raise ConfigError(source.problem(error.key, error.found, error.allowed)) from error


def _check_name(config: RunConfig, store: Any) -> None:
    """Sees that the pipeline of this name in a shared database is this one.

    ML Metadata, and so the cache and the search for the last blessed model, go by the name alone.

    Raises:
        MetadataError: if a pipeline of that name has another root.
    """
    from ml_metadata.metadata_store import ListOptions, OrderByField

    context = store.get_context_by_type_and_name("pipeline", config.name)
    if context is None:
        return
    latest = ListOptions(limit=1, order_by=OrderByField.CREATE_TIME, is_asc=False)
    for artifact in store.get_artifacts_by_context(context.id, list_options=latest):
        if not Path(artifact.uri).is_relative_to(config.pipeline_root):
            where = place(config.metadata, config.pipeline_root)
            found = f"{config.name}, the name of another pipeline in {where}: {artifact.uri}"
            allowed = f"one name for one root ({config.pipeline_root}) in a database"
            raise MetadataError("name", found, allowed)


def _check_file(config: RunConfig, path: Path) -> None:
    """Reads all of a file, and locks it for writing.

    Raises:
        MetadataError: if it is damaged, cannot be written, or another process has it locked.
    """
    try:
        with contextlib.closing(
            sqlite3.connect(
                f"{path.as_uri()}?mode=rw", uri=True, timeout=_LOCK_SECONDS, isolation_level=None
            )
        ) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise sqlite3.DatabaseError(f"database disk image is malformed: {found}")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise explain(str(error), config.metadata, config.pipeline_root).error from error
