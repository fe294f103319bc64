"""A load generator in a process of its own.

    python -m tests.integration.serving.server.load SPEC RECORDS

SPEC is JSON: what to send, and either `clients`, each of which waits for its answer before it
sends again, or a `rate` at which requests are sent whether or not answers come. It ends after
`seconds`, or when its stdin is closed. RECORDS gets a JSON line for each request: protocol, start,
end, outcome, answer. Times are of the monotonic clock, which the machine's processes share.

Imports no TensorFlow and no protobuf: the requests come as bytes, the answers go as bytes.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc

Send = Callable[[], Awaitable[tuple[str, bytes]]]


class RestConnection:
    """One connection, kept alive; opened again if the server closed it after an answer."""

    def __init__(self, host: str, port: int, request: bytes) -> None:
        self._address = (host, port)
        self._request = request
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self) -> tuple[str, bytes]:
        """Returns the status and the body."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address)
        reader, writer = self._streams
        try:
            writer.write(self._request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
        except BaseException:
            self.close()
            raise
        if b"connection: close" in head:
            self.close()
        return head.split(b" ", 2)[1].decode(), body

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


class Recorder:
    """Sends and writes down what came of it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w")

    async def send(self, protocol: str, send: Send) -> None:
        started = time.monotonic()
        answer = b""
        try:
            outcome, answer = await send()
        except grpc.aio.AioRpcError as error:
            outcome = error.code().name
        except (OSError, asyncio.IncompleteReadError) as error:
            outcome = f"{type(error).__name__}: {error}"
        record = [protocol, started, time.monotonic(), outcome, base64.b64encode(answer).decode()]
        self._file.write(json.dumps(record) + "\n")

    async def flush(self) -> None:
        while True:
            self._file.flush()
            await asyncio.sleep(0.05)

    def close(self) -> None:
        self._file.close()


class Senders:
    """Makes connections of both protocols to the server of a SPEC."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self._spec = spec

    def rest(self) -> RestConnection:
        rest = self._spec["rest"]
        body = rest["body"].encode()
        head = (
            f"POST {rest['path']} HTTP/1.1\r\nHost: {rest['host']}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return RestConnection(rest["host"], rest["port"], head.encode() + body)

    def grpc(self) -> Send:
        given = self._spec["grpc"]
        channel = grpc.aio.insecure_channel(
            given["target"], options=[("grpc.use_local_subchannel_pool", 1)]
        )
        call = channel.unary_unary(given["method"])
        request = base64.b64decode(given["request"])

        async def send() -> tuple[str, bytes]:
            return "OK", await call(request, timeout=60)

        return send


async def closed_loop(spec: dict[str, Any], recorder: Recorder, ended: asyncio.Event) -> None:
    """Keeps `clients` busy, half of them over each protocol."""
    senders = Senders(spec)

    async def client(index: int) -> None:
        protocol = ("rest", "grpc")[index % 2]
        send = senders.rest().send if protocol == "rest" else senders.grpc()
        while not ended.is_set():
            await recorder.send(protocol, send)

    await asyncio.gather(*[client(index) for index in range(spec["clients"])])


async def open_loop(spec: dict[str, Any], recorder: Recorder, ended: asyncio.Event) -> None:
    """Sends at `rate` a second, the protocols in turn, without waiting for answers."""
    senders = Senders(spec)
    channels = [senders.grpc() for _ in range(4)]
    idle: list[RestConnection] = []

    async def over_rest() -> None:
        connection = idle.pop() if idle else senders.rest()
        await recorder.send("rest", connection.send)
        idle.append(connection)

    sent: set[asyncio.Task] = set()
    count, began = 0, time.monotonic()
    while not ended.is_set():
        due = int((time.monotonic() - began) * spec["rate"])
        for number in range(count, due):
            request = (
                over_rest() if number % 2 else recorder.send("grpc", channels[number // 2 % 4])
            )
            task = asyncio.create_task(request)
            sent.add(task)
            task.add_done_callback(sent.discard)
        count = due
        await asyncio.sleep(0.002)
    await asyncio.gather(*sent)


async def run(spec: dict[str, Any], records: Path) -> None:
    recorder, ended = Recorder(records), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin, ended.set)
    if spec.get("seconds"):
        loop.call_later(spec["seconds"], ended.set)
    flusher = asyncio.create_task(recorder.flush())
    await (open_loop if spec.get("rate") else closed_loop)(spec, recorder, ended)
    flusher.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await flusher
    recorder.close()


if __name__ == "__main__":
    asyncio.run(run(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])))
