"""Servers on loopback that an engine's checks meet."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator

import pytest


@pytest.fixture
def listening() -> Iterator[Callable[[], str]]:
    """Returns addresses at which somebody takes connections and says nothing."""
    with contextlib.ExitStack() as stack:

        def listen() -> str:
            server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            return f"127.0.0.1:{server.getsockname()[1]}"

        yield listen


@pytest.fixture
def silent() -> str:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def job_manager() -> Iterator[Callable[..., str]]:
    """Starts what answers as a JobManager's `/overview` does, and returns its address."""
    with contextlib.ExitStack() as stack:

        def start(task_managers: int = 2, slots: int = 4, answer: bytes | None = None) -> str:
            found = {"taskmanagers": task_managers, "slots-total": slots, "flink-version": "1.19.0"}
            body = json.dumps(found).encode() if answer is None else answer

            class Handler(http.server.BaseHTTPRequestHandler):
                def do_GET(self) -> None:
                    self.send_response(200 if self.path == "/overview" else 404)
                    self.end_headers()
                    self.wfile.write(body)

                def log_message(self, *_: object) -> None:
                    pass

            server = stack.enter_context(http.server.HTTPServer(("127.0.0.1", 0), Handler))
            threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
            stack.callback(server.shutdown)
            return f"127.0.0.1:{server.server_port}"

        yield start
