"""A request's body within its limits: size, time, and what it unpacks to."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from grpc import StatusCode

from serving.server.decoding import LARGE_BYTES, Decoder
from serving.server.errors import ServingError

_GZIP = 16 + zlib.MAX_WBITS


class BadBody(ServingError):
    """A body that is not taken, with the HTTP status that says why; the connection is closed."""

    def __init__(self, http_status: int, code: StatusCode, message: str) -> None:
        super().__init__(code, message)
        self._http_status = http_status

    @property
    def http_status(self) -> int:
        return self._http_status


class Deadline:
    """Ends the current task's work when its time is over.

    Cheaper than `asyncio.wait_for`, which makes a task of its own.

    Raises:
        ServingError: on leaving, if time was over: 408 before the body was read, else
            DEADLINE_EXCEEDED.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None
        self._is_over = False
        self._has_body = False

    def __enter__(self) -> Deadline:
        if self._seconds > 0:
            loop = asyncio.get_running_loop()
            task = asyncio.current_task()
            assert task is not None
            self._timer = loop.call_later(self._seconds, self._end, task)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._is_over and kind is asyncio.CancelledError:
            if not self._has_body:
                raise BadBody(
                    408, StatusCode.DEADLINE_EXCEEDED, "the request's body took too long"
                ) from None
            raise ServingError(
                StatusCode.DEADLINE_EXCEEDED, f"no answer within {self._seconds:g} s"
            ) from None

    def body_is_read(self) -> None:
        self._has_body = True

    def _end(self, task: asyncio.Task) -> None:
        self._is_over = True
        task.cancel()


async def read_body(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    limit: int,
    decoder: Decoder,
    take: Callable[[int], None],
) -> bytes:
    """Returns a request's body, unpacked if it is gzip.

    Args:
        limit: in bytes, of the body and of what it unpacks to.
        decoder: unpacks what turns out to be large.
        take: is told of each piece's bytes before it is kept; what it raises ends the reading.

    Raises:
        BadBody: 413 past the limit, 415 for another encoding, 400 for broken gzip or a client that
            has gone.
    """
    length, encoding, expects_word = 0, b"", False
    for name, value in scope["headers"]:
        if name == b"content-length":
            length = int(value)
        elif name == b"content-encoding":
            encoding = value.lower()
        elif name == b"expect":
            expects_word = True
    if length > limit:
        if not expects_word:
            # Most clients read the answer only when they have sent all.
            await _drop(receive, 2 * limit)
        raise _too_large(limit)
    message = await receive()
    body = bytes(message.get("body", b""))
    take(len(body))  # not what is announced: that costs a client nothing
    if message.get("more_body"):
        body = await _rest_of(body, receive, limit, take)
    elif message["type"] != "http.request":
        raise _gone()
    if encoding in (b"", b"identity"):
        return body
    if b"gzip" not in encoding:
        raise BadBody(
            415,
            StatusCode.INVALID_ARGUMENT,
            f"Content-Encoding: found {encoding.decode('latin-1')[:40]}; allowed: gzip, identity",
        )
    data = await _unpacked(body, limit, decoder)
    take(len(data))
    return data


async def _rest_of(
    start: bytes,
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    limit: int,
    take: Callable[[int], None],
) -> bytes:
    chunks = [start]
    size = len(start)
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise _gone()
        chunk = message.get("body", b"")
        take(len(chunk))
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            if message.get("more_body"):
                await _drop(receive, limit)
            raise _too_large(limit)
        if not message.get("more_body"):
            return b"".join(chunks)


async def _drop(receive: Callable[[], Awaitable[MutableMapping[str, Any]]], limit: int) -> None:
    """Reads what is left of a body, up to a limit, and keeps none of it."""
    size = 0
    while size <= limit:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            return


async def _unpacked(body: bytes, limit: int, decoder: Decoder) -> bytes:
    unpacker = zlib.decompressobj(_GZIP)
    try:
        data = unpacker.decompress(body, min(LARGE_BYTES, limit + 1))
        if len(data) == LARGE_BYTES <= limit and not unpacker.eof:
            rest, room = unpacker.unconsumed_tail, limit + 1 - LARGE_BYTES
            data += await decoder.run(limit, unpacker.decompress, rest, room)
    except zlib.error as error:
        raise BadBody(400, StatusCode.INVALID_ARGUMENT, f"gzip body: {error}") from error
    if len(data) > limit:
        raise _too_large(limit)
    if not unpacker.eof or unpacker.unused_data:
        raise BadBody(400, StatusCode.INVALID_ARGUMENT, "gzip body: its end is missing")
    return data


def _too_large(limit: int) -> BadBody:
    return BadBody(
        413, StatusCode.INVALID_ARGUMENT, f"the request's body has more than {limit} bytes"
    )


def _gone() -> BadBody:
    return BadBody(400, StatusCode.CANCELLED, "the client closed the connection")
