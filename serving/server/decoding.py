"""Large requests are decoded beside the event loop, which answers the others meanwhile.

A thread gives way between two steps of Python, but not within a call into C: that of the fast
parser takes some 10 ns for each byte.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

LARGE_BYTES = 256 << 10
"""From this size on a thread is worth its price: less is decoded in a few milliseconds."""

_Result = TypeVar("_Result")


class Decoder:
    """A few threads that decode large requests.

        request = await decoder.run(len(body), parse_predict, body)

    Args:
        threads: calls at a time; the others wait, and one that is given up is not kept.
    """

    def __init__(self, threads: int = 2) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        self._free = asyncio.Semaphore(threads)

    async def run(self, size: int, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Returns what a function returns, or raises what it raises.

        Args:
            size: bytes of the request; on them depends where the function runs.
        """
        if size < LARGE_BYTES:
            return function(*arguments)
        await self._free.acquire()
        loop = asyncio.get_running_loop()

        def end(_: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._free.release)

        call = self._pool.submit(function, *arguments)
        call.add_done_callback(end)
        return await asyncio.wrap_future(call)
