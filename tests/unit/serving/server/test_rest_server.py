"""The HTTP server on a port of its own: many requests on one connection."""

import asyncio
import socket

import pytest

from serving.server.rest_server import MAX_HEAD_BYTES, RestServer

SECONDS = 60


async def count(scope, receive, send):
    """Answers with the size of the body."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


def posted(size):
    return f"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: {size}\r\n\r\n".encode() + b"b" * size


@pytest.fixture
def exchange():
    """Sends pieces on one connection, each when the last is answered; returns the answers."""

    async def call(*pieces):
        listener = socket.create_server(("127.0.0.1", 0))
        server = RestServer(count, drain_seconds=1)
        await server.start(listener)
        reader, writer = await asyncio.open_connection(*listener.getsockname()[:2])
        found = []
        for piece in pieces:
            writer.write(piece)
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readuntil(b"\r\n0\r\n\r\n")
            found.append((int(head.split()[1]), body.split(b"\r\n")[1]))
        writer.close()
        await server.drain()
        return found

    return lambda *arguments: asyncio.run(asyncio.wait_for(call(*arguments), SECONDS))


def test_a_head_when_it_begins_behind_a_large_body_then_only_its_own_bytes_count(exchange):
    size = MAX_HEAD_BYTES + 40_000
    next_one = posted(3)
    found = exchange(posted(size) + next_one[:10], next_one[10:])
    assert found == [(200, str(size).encode()), (200, b"3")]
