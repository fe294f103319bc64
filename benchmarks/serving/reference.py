"""Handlers to compare the server with: raw ASGI on uvicorn and uvloop, in a process of its own.

    python -m benchmarks.serving.reference raw VERSION --batching=batching.config

`null` reads a request and answers a constant. `raw` does the least that serves a model: orjson,
an array, the micro-batcher, a V1 session's callable; no routes, no contract, no checks.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import uvicorn
import uvloop

from benchmarks.serving.model import SIGNATURE
from serving.config import BatchingConfig
from serving.text_configs import parse_batching

_CONSTANT = orjson.dumps({"predictions": [[0.1] * 10]})
_HEADERS = [(b"content-type", b"application/json")]

Answer = Callable[[bytes], Awaitable[bytes]]


def application(answer: Answer) -> Any:
    """Returns an ASGI application that gives every request's body to `answer`."""

    async def handle(scope: Any, receive: Any, send: Any) -> None:
        parts, more = [], True
        while more:
            message = await receive()
            parts.append(message["body"])
            more = message["more_body"]
        body = await answer(b"".join(parts))
        headers = [*_HEADERS, (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return handle


async def constant(_: bytes) -> bytes:
    return _CONSTANT


def raw_model(version: Path, config: BatchingConfig) -> Answer:
    """Returns what answers requests of `benchmarks.serving.model`; made on the event loop."""
    from serving.server.batching import BatchQueue, BatchScheduler
    from serving.session import SavedModelSession
    from serving.signatures import Signature

    session = SavedModelSession(version)
    definition = Signature.from_proto(SIGNATURE, session.signature(SIGNATURE))
    scheduler = BatchScheduler(config.num_batch_threads)
    queue = BatchQueue(session.compiled(definition), config, scheduler)
    # Lists of JSON set off collections over all of TensorFlow's objects.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)

    async def answer(body: bytes) -> bytes:
        rows = np.asarray(orjson.loads(body)["instances"], np.float32)
        (scores,) = await queue.submit([rows])
        return orjson.dumps({"predictions": scores.tolist()})

    return answer


async def serve(kind: str, version: Path, config: BatchingConfig) -> None:
    answer = constant if kind == "null" else raw_model(version, config)
    options: dict[str, Any] = {"http": "httptools", "lifespan": "off", "access_log": False}
    server = uvicorn.Server(uvicorn.Config(application(answer), log_level="critical", **options))
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        # Who connects now is answered as soon as the server runs.
        print(f"serving REST on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        await server.serve(sockets=[listener])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.reference")
    parser.add_argument("kind", choices=["null", "raw"])
    parser.add_argument("version", type=Path, help="folder of the model's version")
    parser.add_argument("--batching", type=Path, required=True, help="as batching.config")
    options = parser.parse_args()
    uvloop.install()
    config = parse_batching(options.batching.read_text())
    asyncio.run(serve(options.kind, options.version, config))


if __name__ == "__main__":
    main()
