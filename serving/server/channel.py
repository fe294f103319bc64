"""JSON lines over a socket pair: how the supervisor and a worker of one server talk.

Only these two processes hold the ends; when one dies, the other reads the end of the stream.
"""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

_LONGEST_LINE = 256 << 20


class Channel:
    """One end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, end: socket.socket) -> Channel:
        return cls(*await asyncio.open_connection(sock=end, limit=_LONGEST_LINE))

    def send(self, message: dict[str, Any]) -> None:
        """Sends a message; does nothing if the other end is gone."""
        if not self._writer.is_closing():
            self._writer.write(json.dumps(message).encode() + b"\n")

    async def receive(self) -> dict[str, Any] | None:
        """Returns the next message, None if the other end is gone."""
        try:
            line = await self._reader.readline()
        except (ConnectionError, ValueError):
            return None
        return json.loads(line) if line.endswith(b"\n") else None

    async def close(self) -> None:
        """Sends what is left and closes this end."""
        try:
            await self._writer.drain()
            self._writer.close()
            await self._writer.wait_closed()
        except ConnectionError:
            return


def error_of(code: str, message: str) -> dict[str, Any]:
    """Returns a reply that says that what was asked for failed."""
    return {"error": [code, message]}
