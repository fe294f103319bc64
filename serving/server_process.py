"""The embedded server as a child process, for whoever measures it.

with embedded_server(["--model_name=m", "--model_base_path=/models/m"], "m") as server:
    ...  # server.rest_port and server.grpc_port, on loopback
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_LOOPBACK = "127.0.0.1"
_START = 120.0
_DRAIN = 15.0
_PAUSE = 0.05


class ServerFailed(RuntimeError):
    """The server ended, or did not answer; the message has the end of what it said."""


@dataclass(frozen=True)
class RunningServer:
    """A server that answers.

    Attributes:
        pid: of the process that was started; it may have children.
    """

    pid: int
    rest_port: int
    grpc_port: int
    host: str = _LOOPBACK

    @property
    def target(self) -> str:
        return f"{self.host}:{self.grpc_port}"


@contextlib.contextmanager
def embedded_server(
    flags: Sequence[str], model: str, processes: int = 1
) -> Iterator[RunningServer]:
    """Starts the server on free ports of loopback, and ends it.

    Args:
        flags: tensorflow_model_server's, without the ports.
        model: that has to be available before it counts as started.

    Raises:
        ServerFailed: if it ends before, or within 120 s the model is not available.
    """
    command = [sys.executable, "-m", "serving.server", *flags, f"--processes={processes}"]
    with server_process(command, f"/v1/models/{model}", '"AVAILABLE"') as server:
        yield server


@contextlib.contextmanager
def server_process(command: Sequence[str], path: str, said: str) -> Iterator[RunningServer]:
    """Starts a server that takes `--port` and `--rest_api_port`, and ends it.

    Args:
        path: whose answer says that it has started.
        said: what that answer then contains.

    Raises:
        ServerFailed: if it does not start.
    """
    grpc_port, rest_port = _free_ports(2)
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*command, f"--port={grpc_port}", f"--rest_api_port={rest_port}"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # A group of its own, so that Ctrl-C ends it by `stop` alone, and its workers with it.
            start_new_session=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
        )
        try:
            end = time.monotonic() + _START
            while said not in _get(rest_port, path):
                if process.poll() is not None or time.monotonic() > end:
                    log.seek(0)
                    ended = f"ended with code {process.returncode}" if process.poll() else "hangs"
                    text = log.read().decode(errors="replace")[-2000:]
                    raise ServerFailed(f"the server {ended}: {text}")
                time.sleep(_PAUSE)
            yield RunningServer(process.pid, rest_port, grpc_port)
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_DRAIN)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _get(port: int, path: str) -> str:
    """Returns the body that a GET on loopback answers with 200, "" while there is none."""
    connection = http.client.HTTPConnection(_LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()
    return body if answer.status == 200 else ""


def _free_ports(count: int) -> list[int]:
    """Returns different ports that nothing listens on.

    Whoever asks has to use them soon: the server does not say which it took if given none.
    """
    with contextlib.ExitStack() as held:
        found = []
        for _ in range(count):
            listener = held.enter_context(socket.socket())
            listener.bind((_LOOPBACK, 0))
            found.append(listener.getsockname()[1])
        return found
