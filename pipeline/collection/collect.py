"""A collection from beginning to end: the root is held, the books are put right, all is freed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.collection.books import read_books
from pipeline.collection.missing import forget_missing_outputs
from pipeline.collection.plan import Plan, make_plan
from pipeline.collection.served import served_versions
from pipeline.collection.sweep import sweep
from pipeline.config_file import ConfigError, Problem
from pipeline.metadata.store import StoreHandle, open_store
from pipeline.run_lock import RootBusy, hold_root

if TYPE_CHECKING:
    from pipeline.config import RunConfig

HOLDER = "gc"
"""What a run that finds the root held is told of the holder."""


def look(config: RunConfig, keep_runs: int, older_than: float) -> Plan:
    """Returns what a collection would free, and changes nothing."""
    with open_store(config, read_only=True) as handle:
        return _plan(handle, config, keep_runs, older_than)


def collect(config: RunConfig, path: str, keep_runs: int, older_than: float, wait: float) -> Plan:
    """Frees what nothing needs; returns what that was.

    Args:
        path: of the configuration, for messages.
        wait: seconds to wait for a run to end.

    Raises:
        ConfigError: if a run is going on, or a folder cannot be removed.
    """
    root = config.pipeline_root
    try:
        with hold_root(root, HOLDER, wait=wait), open_store(config) as handle:
            # Also brings back what was only away, before it is taken for a leftover.
            forget_missing_outputs(handle.store, config.name)
            plan = _plan(handle, config, keep_runs, older_than)
            sweep(handle.store, root, plan)
            return plan
    except RootBusy as busy:
        allowed = "no run at the same time: wait for it to end, or --wait SECONDS"
        raise ConfigError(Problem(path, "root", str(busy), allowed)) from busy
    except OSError as error:
        found = f"{error.filename}: {error.strerror}"
        allowed = "what can be removed; mend that and run it again, it goes on"
        raise ConfigError(Problem(path, "root", found, allowed)) from error


def _plan(handle: StoreHandle, config: RunConfig, keep_runs: int, older_than: float) -> Plan:
    books = read_books(handle.store, config.name)
    served = served_versions(books, config.model_folder)
    return make_plan(config.pipeline_root, books, served, keep_runs, older_than)
