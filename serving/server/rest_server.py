"""The HTTP server under the REST application: uvicorn, with limits on a request's head."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import orjson
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

MAX_HEAD_BYTES = 64 << 10
HEAD_SECONDS = 30.0
KEEP_ALIVE_SECONDS = 75


class RestServer:
    """Serves an ASGI application on a listening socket.

    Args:
        drain_seconds: how long `drain` waits for requests under way.
        head_seconds: how long the head of a request may take, from the first byte on or from
            where the connection was made.
    """

    def __init__(
        self, application: Any, drain_seconds: float = 30.0, head_seconds: float = HEAD_SECONDS
    ) -> None:
        self._head_seconds = head_seconds
        self._server = _Uvicorn(
            uvicorn.Config(
                application,
                http=_Protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=max(1, round(drain_seconds)),
            )
        )
        self._serving: asyncio.Task | None = None
        self._sweeping: asyncio.Task | None = None

    async def start(self, listener: socket.socket) -> None:
        """Begins to accept connections."""
        loop = asyncio.get_running_loop()
        self._serving = loop.create_task(self._server.serve(sockets=[listener]))
        self._sweeping = loop.create_task(self._sweep())
        while not self._server.started:
            if self._serving.done():
                await self._serving
            await asyncio.sleep(0.005)

    async def drain(self) -> None:
        """Stops accepting, and returns when what has begun is answered or the time is over."""
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving
        if self._sweeping is not None:
            self._sweeping.cancel()

    async def _sweep(self) -> None:
        """Closes connections whose request's head does not come to an end."""
        while True:
            await asyncio.sleep(self._head_seconds / 4)
            oldest = asyncio.get_running_loop().time() - self._head_seconds
            for connection in list(self._server.server_state.connections):
                if isinstance(connection, _Protocol):
                    connection.close_if_begun_before(oldest)


class _Uvicorn(uvicorn.Server):
    """Signals are the process's own affair."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Protocol(HttpToolsProtocol):
    """HTTP/1.1 whose request heads are limited in bytes and in time; errors are JSON."""

    _head_began: float | None = None
    _head_bytes = 0
    _begins_here = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_began = self.loop.time()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_began = self.loop.time()
        self._head_bytes = 0
        self._begins_here = True

    def on_headers_complete(self) -> None:
        self._head_began = None
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        self._begins_here = False
        super().data_received(data)
        if self._head_began is not None and not self.transport.is_closing():
            # Where a head begins, what is before it may be the body of another request.
            self._head_bytes += 0 if self._begins_here else len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(431, "the request's head is too large")

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, msg)

    def close_if_begun_before(self, instant: float) -> None:
        """Gives up a request whose head is not there yet."""
        if self._head_began is not None and self._head_began < instant:
            self._refuse(408, "the request's head took too long")

    def _refuse(self, status: int, message: str) -> None:
        body = orjson.dumps({"error": message})
        head = (
            STATUS_LINE[status]
            + b"content-type: application/json\r\nconnection: close\r\ncontent-length: "
            + str(len(body)).encode()
            + b"\r\n\r\n"
        )
        self.transport.write(head + body)
        self.transport.close()
