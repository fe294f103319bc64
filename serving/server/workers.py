"""Threads that make calls for the event loop, so that it stays free."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from grpc import StatusCode

from serving.server.errors import ServingError

_Result = TypeVar("_Result")


def cores() -> int:
    """Returns how many cores this process may use."""
    return len(os.sched_getaffinity(0))


class Workers:
    """A few threads, and a bound on what waits for them.

    Args:
        threads: calls that run at a time.
        limit: calls that run or wait; one more is refused at once.
    """

    def __init__(self, threads: int, limit: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="call")
        self._limit = limit
        self._in_flight = 0

    async def call(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Returns what the function returns; one that is cancelled before it starts never runs.

        Raises:
            ServingError: UNAVAILABLE if too many calls are in flight; what the function raises.
        """
        if self._in_flight >= self._limit:
            raise ServingError(
                StatusCode.UNAVAILABLE, f"{self._limit} calls are in flight, which is the limit"
            )
        self._in_flight += 1
        waiting = self._loop.create_future()
        call = self._pool.submit(function, *arguments)
        call.add_done_callback(lambda done: self._tell(waiting, done))
        try:
            return await waiting
        except asyncio.CancelledError:
            call.cancel()
            raise

    def _tell(self, waiting: asyncio.Future, done: Future) -> None:
        """Hands the outcome to the loop; on the thread of the call."""
        try:
            self._loop.call_soon_threadsafe(self._settle, waiting, done)
        except RuntimeError:  # the loop is closed: nobody waits any more
            return

    def _settle(self, waiting: asyncio.Future, done: Future) -> None:
        self._in_flight -= 1
        if waiting.done() or done.cancelled():
            return
        error = done.exception()
        if error is None:
            waiting.set_result(done.result())
        else:
            waiting.set_exception(error)

    def close(self) -> None:
        """Ends the threads when what runs has ended; what waits is given up."""
        self._pool.shutdown(wait=False, cancel_futures=True)
