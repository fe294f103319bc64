"""The calls of one version that are on threads, counted: its memory is theirs until they end.

A request that is cancelled, or out of time, gives its lease back at once; TensorFlow goes on.
"""

from __future__ import annotations

import threading

from grpc import StatusCode

from serving.server.errors import ServingError


class RunningCalls:
    """Entered around each call, on the thread that makes it.

    Raises:
        ServingError: on entering, UNAVAILABLE if `drain` was called: a call may have been given up
            just before it began.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0
        self._is_closed = False

    def __enter__(self) -> None:
        with self._changed:
            if self._is_closed:
                raise ServingError(StatusCode.UNAVAILABLE, "the version is being unloaded")
            self._count += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def drain(self) -> None:
        """Lets no call begin any more, and returns when none is running."""
        with self._changed:
            self._is_closed = True
            self._changed.wait_for(lambda: not self._count)
