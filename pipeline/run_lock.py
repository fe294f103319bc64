"""One run of a pipeline at a time: its runs share checkpoints, metadata and the serving directory.

The lock is `flock`'s on a file in the pipeline's root, so that it is gone with the processes that
held it, however they ended. A run in one process holds it alone; the nodes of a scheduled run, each
a process of its own, share it among themselves.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

LOCK_FILE = "run.lock"
_NODE_LOCKS = "locks"
_POLL = 0.5
"""Seconds between two looks at a lock that another run holds."""


class RootBusy(Exception):
    """Another run is going on; the text says which, since when, and in which process."""

    def __init__(self, root: Path, holder: dict[str, Any]) -> None:
        run = f"run {holder['run_id']}" if holder else "a run"
        details = f" (process {holder['pid']}, since {holder['since']})" if holder else ""
        super().__init__(f"{root}, where {run} is going on{details}")


@contextlib.contextmanager
def hold_root(
    root: Path,
    run_id: str,
    shared: bool = False,
    wait: float = 0.0,
    waiting: Callable[[str], None] = lambda _text: None,
) -> Iterator[None]:
    """Holds the root of a pipeline for a run.

    Args:
        root: the pipeline's folder; made if it is not there.
        run_id: of the run.
        shared: with other processes that hold it for the same run.
        wait: seconds to wait for another run to end.
        waiting: told once if there is something to wait for.

    Raises:
        RootBusy: if one is going on, and still is when the time is over.
    """
    root.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + wait
    with _open(root / LOCK_FILE) as descriptor:
        told = False
        while not _take(descriptor, run_id, shared):
            busy = RootBusy(root, _read(descriptor))
            if time.monotonic() >= deadline:
                raise busy
            if not told:
                waiting(f"waiting for {busy}")
                told = True
            time.sleep(_POLL)
        yield


@contextlib.contextmanager
def hold_node(
    root: Path, node: str, waiting: Callable[[str], None] = lambda _text: None
) -> Iterator[None]:
    """Holds a node of a pipeline: what began it and is not dead yet is waited for.

    Args:
        waiting: told once if there is something to wait for.
    """
    folder = root / _NODE_LOCKS
    folder.mkdir(parents=True, exist_ok=True)
    with _open(folder / f"{node}.lock") as descriptor:
        if not _flock(descriptor, fcntl.LOCK_EX):
            holder = _read(descriptor)
            waiting(f"{node} still runs in process {holder.get('pid', '?')}; waiting for it to end")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        _write(descriptor, node)
        yield


def _take(descriptor: int, run_id: str, shared: bool) -> bool:
    """Takes the lock if nobody holds it, or if it can be shared with who does."""
    if _flock(descriptor, fcntl.LOCK_EX):
        _write(descriptor, run_id)
        if not shared:
            return True
    elif not shared:
        return False
    # From alone to shared is not one step: another run may have come in between.
    if not _flock(descriptor, fcntl.LOCK_SH):
        return False
    if _read(descriptor).get("run_id") == run_id:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def _flock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _open(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write(descriptor: int, run_id: str) -> None:
    since = datetime.datetime.now().isoformat(sep=" ", timespec="seconds")
    text = json.dumps({"run_id": run_id, "pid": os.getpid(), "since": since})
    os.pwrite(descriptor, text.encode(), 0)
    os.ftruncate(descriptor, len(text))


def _read(descriptor: int) -> dict[str, Any]:
    """Returns what the holder says of itself; nothing while it is just saying it."""
    try:
        found = json.loads(os.pread(descriptor, 4096, 0))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
