"""Ends a process of a cluster that waits in vain: a training there never hangs.

A collective operation whose peer is gone may wait for ever, in code that no exception reaches. So
the loop tells of every call that ends, and a thread ends the process when none does for too long.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import re
import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

EXIT_CODE = 138
"""Of a process that lost its cluster: run again, the training resumes.

128 + 10; Kubeflow's TFJob restarts what ends with it under restartPolicy ExitCode.
"""

_POLL_SECONDS = 1.0
_FIRST_CALL = 3.0
_PEER = re.compile(r"/job:(\w+)(?:/replica:\d+)?/task:(\d+)")
_ABORTED = "Collective ops is aborted"


class PeerLost(Exception):
    """Another process of the cluster does not answer; started again the training resumes."""


class _Beats:
    """When the last call ended, how many have, and the step of the last checkpoint."""

    def __init__(self) -> None:
        self.last = time.monotonic()
        self.count = 0
        self.saved = 0


_beats = _Beats()


def beat(trained: bool = False) -> None:
    """Tells that a call has ended; a training call is one that need not trace any more."""
    _beats.last = time.monotonic()
    _beats.count += trained


def saved(step: int) -> None:
    """Tells that the training can be resumed from a step."""
    _beats.saved = step


class Watchdog:
    """Ends the process with `EXIT_CODE` if no call ends for `seconds`, as a context.

    Args:
        seconds: three times that until the first training call ends, which traces and connects.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Watchdog:
        beat()
        _beats.count = 0
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()

    def _watch(self) -> None:
        while not self._stop.wait(min(_POLL_SECONDS, self._seconds / 4)):
            limit = self._seconds * (1.0 if _beats.count else _FIRST_CALL)
            waited = time.monotonic() - _beats.last
            if waited > limit:
                faulthandler.dump_traceback(all_threads=True)
                leave(
                    EXIT_CODE,
                    f"no call has ended for {waited:.0f} s (train.stall_seconds is "
                    f"{self._seconds:g}): another process of the cluster, or the network, does "
                    f"not answer; run again to resume from step {_beats.saved}",
                )


def explain(error: tf.errors.OpError) -> PeerLost | None:
    """Returns what an operation's error says of the cluster; None if it says nothing of it."""
    import tensorflow as tf

    gone = isinstance(error, (tf.errors.UnavailableError, tf.errors.DeadlineExceededError))
    if not gone and _ABORTED not in str(error):
        return None
    found = _PEER.search(str(error))
    who = f"{found[1]} {found[2]}" if found else "another process of the cluster"
    reason = next(
        (line for line in str(error).splitlines() if _ABORTED in line or "remote task" in line),
        str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__,
    )
    return PeerLost(
        f"{who} does not answer; run again to resume from step {_beats.saved} "
        f"({reason.strip()[:300]})"
    )


def leave(code: int, error: str = "") -> None:
    """Ends the process at once.

    For those of a cluster. An orderly end waits for the others: at a barrier that one that is gone
    never comes to, and in the destructors of what they shared, which has been seen to take half a
    minute.
    """
    if error:
        print(f"error: {error}", file=sys.stderr, flush=True)
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)
