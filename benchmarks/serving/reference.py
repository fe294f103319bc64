"""Handlers to compare the server with: raw ASGI on uvicorn and uvloop, in a process of its own.

    python -m benchmarks.serving.reference raw MODEL --rest_api_port=8501

`null` reads a request and answers a constant. `raw` does the least that serves a model: orjson,
an array, the micro-batcher, a V1 session's callable; no routes, no contract, no checks.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import uvicorn
import uvloop

from benchmarks.serving.model import SIGNATURE
from serving.config import BatchingConfig

_READY = orjson.dumps({"model_version_status": [{"state": "AVAILABLE"}]})
_CONSTANT = orjson.dumps({"predictions": [[0.1] * 10]})
_HEADERS = [(b"content-type", b"application/json")]

Answer = Callable[[bytes], Awaitable[bytes]]


def application(answer: Answer) -> Any:
    """Returns an ASGI application that answers POST, and GET with the word that it is there."""

    async def handle(scope: Any, receive: Any, send: Any) -> None:
        body = _READY
        if scope["method"] == "POST":
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


async def serve(kind: str, version: Path, port: int, config: BatchingConfig) -> None:
    answer = constant if kind == "null" else raw_model(version, config)
    options: dict[str, Any] = {"http": "httptools", "lifespan": "off", "access_log": False}
    server = uvicorn.Config(application(answer), port=port, log_level="critical", **options)
    await uvicorn.Server(server).serve()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.reference")
    parser.add_argument("kind", choices=["null", "raw"])
    parser.add_argument("version", type=Path)
    parser.add_argument("--rest_api_port", type=int, required=True)
    parser.add_argument("--port", help="of gRPC, which it does not serve")
    parser.add_argument("--batching", type=Path, required=True, help="as batching.config")
    options = parser.parse_args()
    from serving.text_configs import parse_batching

    uvloop.install()
    config = parse_batching(options.batching.read_text())
    asyncio.run(serve(options.kind, options.version, options.rest_api_port, config))


if __name__ == "__main__":
    main()
