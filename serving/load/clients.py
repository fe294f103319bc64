"""The clients of a load, on asyncio: REST on bare protocols, gRPC by its own library.

A client has to cost far less than the server that it asks on the same machine, so requests are
bytes made beforehand and answers are not parsed beyond their status.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from time import perf_counter  # the loop's own clock counts in milliseconds
from typing import Any

import grpc
import httptools

from serving.load.calls import Call, GrpcCall, RestCall
from serving.load.record import LoadResult, Record

_PAUSE = 0.01
"""Seconds that a client waits which finds no server: it must not spin."""

_CHANNEL_OPTIONS = (
    # A connection for each client, as far as one process of several that share a port can tell.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
)


async def make_load(call: Call, clients: int, warmup: float, seconds: float) -> LoadResult:
    """Asks from `clients` clients at once, `warmup` seconds unrecorded and `seconds` recorded."""
    now = perf_counter()
    record = Record(now + warmup, now + warmup + seconds)

    def ask() -> Coroutine[None, None, None]:
        return _ask_rest(call, record) if isinstance(call, RestCall) else _ask_grpc(call, record)

    await asyncio.gather(*(ask() for _ in range(clients)))
    return record.result()


async def _ask_rest(call: RestCall, record: Record) -> None:
    """Asks on a connection that is kept, and on a new one if it is lost, to the end."""
    loop = asyncio.get_running_loop()
    head = (
        f"POST {call.path} HTTP/1.1\r\nHost: {call.host}:{call.port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(call.body)}\r\n\r\n"
    )
    request = head.encode() + call.body
    while (began := perf_counter()) < record.end:
        try:
            _, connection = await loop.create_connection(
                lambda: _RestConnection(request, record), call.host, call.port
            )
        except OSError:
            record.add(began, perf_counter(), "connection")
            await asyncio.sleep(_PAUSE)
            continue
        left = max(0.0, record.end - perf_counter())
        lost, _ = await asyncio.wait([connection.closed], timeout=left)
        if not lost:
            connection.abandon()
            return


class _RestConnection(asyncio.Protocol):
    """One client's connection: sends, waits for the whole answer, sends again.

    Attributes:
        closed: done when the connection is.
    """

    def __init__(self, request: bytes, record: Record) -> None:
        self._request = request
        self._record = record
        self._parser: Any = httptools.HttpResponseParser(self)
        self._began: float | None = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()

    def on_message_complete(self) -> None:
        """Called by the parser at the end of an answer."""
        status = self._parser.get_status_code()
        self._end(None if status == 200 else str(status))
        if self._parser.should_keep_alive():
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._end("connection")
        self.closed.set_result(None)

    def abandon(self) -> None:
        """Closes the connection; what is under way is not recorded."""
        self._began = None
        self._transport.abort()

    def _send(self) -> None:
        self._began = perf_counter()
        self._transport.write(self._request)

    def _end(self, error: str | None) -> None:
        """Records the request that is under way, if there is one."""
        if self._began is not None:
            self._record.add(self._began, perf_counter(), error)
        self._began = None


async def _ask_grpc(call: GrpcCall, record: Record) -> None:
    """Asks on a channel of its own to the end."""
    async with grpc.aio.insecure_channel(call.target, options=_CHANNEL_OPTIONS) as channel:
        ask = channel.unary_unary(call.method)
        while (began := perf_counter()) < record.end:
            try:
                # What is still under way at the end is not recorded.
                await ask(call.body, timeout=record.end - began + _PAUSE)
            except grpc.aio.AioRpcError as error:
                record.add(began, perf_counter(), error.code().name)
                if error.code() is grpc.StatusCode.UNAVAILABLE:
                    await asyncio.sleep(_PAUSE)
            else:
                record.add(began, perf_counter())
