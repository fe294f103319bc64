"""A model server in a process of its own: started by its flags, watched, ended by its id.

    with running(["python", "-m", "serving.server"], flags, folder) as server:
        server.wait_until_available("digits")
        server.rest_url, server.grpc_target

Knows tensorflow_model_server's flags and TF Serving's status URL, and nothing of any server's code.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LIMIT = 120.0
"""Seconds after which a server counts as hanging; the machine may be busy."""

_PAUSE = 0.02
_LOOPBACK = "127.0.0.1"


class ServerEnded(AssertionError):
    """A server that ended where it should have served."""


@dataclass
class ModelServer:
    """A started server; `log` has its stdout and stderr."""

    process: subprocess.Popen
    grpc_port: int
    rest_port: int
    log: Path
    ended: bool = field(default=False)

    @property
    def rest_url(self) -> str:
        return f"http://{_LOOPBACK}:{self.rest_port}"

    @property
    def grpc_target(self) -> str:
        return f"{_LOOPBACK}:{self.grpc_port}"

    @property
    def pid(self) -> int:
        return self.process.pid

    def output(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def wait_until(self, is_reached: Callable[[], bool], what: str, seconds: float = LIMIT) -> None:
        """Waits for a condition; fails if the server ends first, or after `seconds`."""
        end = time.monotonic() + seconds
        while not is_reached():
            if self.process.poll() is not None:
                raise ServerEnded(
                    f"exit {self.process.returncode} before {what}:\n{self.output()[-6000:]}"
                )
            assert time.monotonic() < end, f"no {what} in {seconds} s:\n{self.output()[-6000:]}"
            time.sleep(_PAUSE)

    def wait_until_available(self, model: str, *versions: int) -> None:
        """Waits until these versions of a model are AVAILABLE, any one if none is named."""

        def is_available() -> bool:
            found = {v for v, state in self.states(model).items() if state == "AVAILABLE"}
            return set(versions) <= found if versions else bool(found)

        self.wait_until(is_available, f"{model} {versions or ''} AVAILABLE")

    def wait_until_gone(self, model: str, version: int) -> None:
        """Waits until a version is neither served nor on its way in or out."""
        self.wait_until(
            lambda: self.states(model).get(version, "END") == "END", f"{model} {version} END"
        )

    def states(self, model: str) -> dict[int, str]:
        """Returns the state of each version by the status URL; {} while there is no answer."""
        try:
            status, body = get(self.rest_port, f"/v1/models/{model}")
        except OSError:
            return {}
        if status != 200:
            return {}
        entries = json.loads(body)["model_version_status"]
        return {int(entry["version"]): entry["state"] for entry in entries}

    def wait_for_exit(self, seconds: float = LIMIT) -> int:
        """Returns the exit code of a server that ends by itself, or was told to."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"still runs after {seconds} s:\n{self.output()[-6000:]}"
            ) from None

    def stop(self) -> None:
        """Ends the server, by SIGKILL if SIGTERM is not enough."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)  # a group of its own: workers too
                self.process.wait()


def get(port: int, path: str, timeout: float = 10.0) -> tuple[int, bytes]:
    """Returns the status and the body of a GET on loopback.

    Raises:
        OSError: if nothing answers.
    """
    connection = http.client.HTTPConnection(_LOOPBACK, port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error
    finally:
        connection.close()


def free_ports(count: int) -> list[int]:
    """Returns different ports that nothing listens on; tensorflow_model_server reports none."""
    with contextlib.ExitStack() as held:
        found = []
        for _ in range(count):
            listener = held.enter_context(socket.socket())
            listener.bind((_LOOPBACK, 0))
            found.append(listener.getsockname()[1])
        return found


def start(
    command: Sequence[str],
    flags: Sequence[str],
    folder: Path,
    *,
    rest: bool = True,
    env: Mapping[str, str] | None = None,
) -> ModelServer:
    """Starts a server on free ports; returns at once.

    Args:
        flags: tensorflow_model_server's, without the ports.
        folder: takes the log.
        rest: False: without `--rest_api_port`.
    """
    grpc_port, rest_port = free_ports(2)
    ports = [f"--port={grpc_port}", *([f"--rest_api_port={rest_port}"] if rest else [])]
    log = folder / f"server-{grpc_port}.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [*command, *flags, *ports],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "1", **(env or {})},
        )
    return ModelServer(process, grpc_port, rest_port, log)


@contextlib.contextmanager
def running(
    command: Sequence[str], flags: Sequence[str], folder: Path, **options: Any
) -> Iterator[ModelServer]:
    """Starts a server as `start` does, and ends it."""
    server = start(command, flags, folder, **options)
    try:
        yield server
    finally:
        server.stop()
