"""Threads that make calls for the event loop, so that it stays free."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from grpc import StatusCode

from serving.server.errors import ServingError

_Result = TypeVar("_Result")


def cores() -> int:
    """Returns how many cores this process may use."""
    return len(os.sched_getaffinity(0))


class _Call:
    """A call that waits for a thread or runs on one, and who waits for its result."""

    __slots__ = ("function", "waiting")

    def __init__(self, function: Callable[[], Any], waiting: asyncio.Future) -> None:
        self.function = function
        self.waiting = waiting


class Workers:
    """A few threads, and a bound on what waits for them.

    Calls wait on the loop, and are given to the threads that are free: what is cancelled is gone
    at once, with its arguments, however long the threads are busy.

    Args:
        threads: calls that run at a time.
        limit: calls that run or wait; one more is refused at once.
    """

    def __init__(self, threads: int, limit: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="call")
        self._limit = limit
        self._threads = threads
        self._running = 0
        self._queue: deque[_Call] = deque()

    async def call(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Returns what the function returns; one that is cancelled before it starts never runs.

        Raises:
            ServingError: UNAVAILABLE if too many calls are in flight; what the function raises.
        """
        if self._running + len(self._queue) >= self._limit:
            raise ServingError(
                StatusCode.UNAVAILABLE, f"{self._limit} calls are in flight, which is the limit"
            )
        call = _Call(partial(function, *arguments), self._loop.create_future())
        self._queue.append(call)
        self._wake()
        try:
            return await call.waiting
        except asyncio.CancelledError:
            with contextlib.suppress(ValueError):  # it runs already
                self._queue.remove(call)
            raise

    def _wake(self) -> None:
        """Gives free threads what waits."""
        while self._queue and self._running < self._threads:
            self._running += 1
            self._pool.submit(self._execute, self._queue.popleft())

    def _execute(self, call: _Call) -> None:
        """Makes a call, and hands the outcome to the loop; on a thread of the pool."""
        result, error = None, None
        try:
            result = call.function()
        except BaseException as raised:  # whatever it is, who waits must hear of it
            error = raised
        try:
            self._loop.call_soon_threadsafe(self._settle, call, result, error)
        except RuntimeError:  # the loop is closed: nobody waits any more
            return
        finally:
            error = None  # its traceback holds this frame: a cycle, with the arguments in it

    def _settle(self, call: _Call, result: Any, error: BaseException | None) -> None:
        self._running -= 1
        self._wake()
        if call.waiting.done():  # its client is gone
            return
        if error is None:
            call.waiting.set_result(result)
        else:
            call.waiting.set_exception(error)

    def close(self) -> None:
        """Ends the threads when what runs has ended; what waits is given up."""
        for call in self._queue:
            call.waiting.cancel()
        self._queue.clear()
        self._pool.shutdown(wait=False)
