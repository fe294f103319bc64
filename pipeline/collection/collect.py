"""A collection from beginning to end: the root is held, the plan is made, all is freed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pipeline.collection.books import read_books
from pipeline.collection.places import check_root
from pipeline.collection.plan import Plan, make_plan
from pipeline.collection.served import served_versions
from pipeline.collection.sweep import sweep
from pipeline.config_file import ConfigError, Problem
from pipeline.metadata.opening import metadata_cause
from pipeline.metadata.store import StoreHandle, open_store
from pipeline.run_lock import RootBusy, hold_root

if TYPE_CHECKING:
    from pipeline.config import RunConfig

HOLDER = "gc"
"""What a run that finds the root held is told of the holder."""


def look(config: RunConfig, path: str, keep_runs: int, older_than: float) -> Plan:
    """Returns what a collection would free, and changes nothing.

    Args:
        path: of the configuration, for messages.

    Raises:
        ConfigError: if a folder cannot be read, or it cannot be known what is needed.
        MetadataError: if the metadata cannot be read.
    """
    with _explained(config, path), open_store(config, read_only=True) as handle:
        return _plan(handle, config, path, keep_runs, older_than)


def collect(
    config: RunConfig,
    path: str,
    keep_runs: int,
    older_than: float,
    wait: float,
    waiting: Callable[[str], None] = lambda _text: None,
) -> Plan:
    """Frees what nothing needs; returns what that was.

    Args:
        path: of the configuration, for messages.
        wait: seconds to wait for a run to end.
        waiting: told once if there is something to wait for.

    Raises:
        ConfigError: if a run is going on, a folder cannot be read or removed, or it cannot be known
            what is needed.
        MetadataError: if the metadata cannot be read or written.
    """
    root = config.pipeline_root
    with (
        _explained(config, path),
        hold_root(root, HOLDER, wait=wait, waiting=waiting),
        open_store(config) as handle,
    ):
        plan = _plan(handle, config, path, keep_runs, older_than)
        sweep(handle.store, config.name, root, plan)
        return plan


@contextlib.contextmanager
def _explained(config: RunConfig, path: str) -> Iterator[None]:
    """Makes of what fails what a user is told."""
    try:
        yield
    except RootBusy as busy:
        allowed = "no run at the same time: wait for it to end, or --wait SECONDS"
        raise ConfigError(Problem(path, "root", str(busy), allowed)) from busy
    except OSError as error:
        found = f"{error.filename or config.pipeline_root}: {error.strerror or error}"
        allowed = "what gc may read, write and remove; mend that and run it again, it goes on"
        raise ConfigError(Problem(path, "root", found, allowed)) from error
    except Exception as error:
        cause = metadata_cause(error, config)
        if cause is None or cause is error:
            raise
        raise cause from error


def _plan(
    handle: StoreHandle, config: RunConfig, path: str, keep_runs: int, older_than: float
) -> Plan:
    root = config.pipeline_root
    books = read_books(handle.store, config.name)
    check_root(root, books, path)
    served = served_versions(books, config.model_folder, path)
    return make_plan(root, books, served, keep_runs, older_than)
