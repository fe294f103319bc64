"""The embedded server as a child process, for whoever measures it.

with embedded_server(["--model_name=m", "--model_base_path=/models/m"]) as server:
    ...  # server.rest_port and server.grpc_port, on loopback
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_START = 120.0
_DRAIN = 15.0

_READY = re.compile(rb"serving REST on http://([\d.]+):(\d+)(?:, gRPC on [\d.]+:(\d+))?\n")


class ServerFailed(RuntimeError):
    """The server did not start; the message has the end of what it said."""


@dataclass(frozen=True)
class RunningServer:
    """A server that answers.

    Attributes:
        pid: of the process that was started; it may have children.
        grpc_port: 0 if it serves no gRPC.
    """

    pid: int
    host: str
    rest_port: int
    grpc_port: int

    @property
    def target(self) -> str:
        return f"{self.host}:{self.grpc_port}"


@contextlib.contextmanager
def embedded_server(flags: Sequence[str], processes: int = 1) -> Iterator[RunningServer]:
    """Starts the embedded server on free ports of loopback, and ends it.

    Args:
        flags: tensorflow_model_server's, without the ports.

    Raises:
        ServerFailed: if its models are not loaded within 120 s.
    """
    command = [sys.executable, "-m", "serving.server", *flags, "--port=0", "--rest_api_port=-1"]
    with server_process([*command, f"--processes={processes}"]) as server:
        yield server


@contextlib.contextmanager
def server_process(command: Sequence[str]) -> Iterator[RunningServer]:
    """Starts a program that says on stdout where it serves, as the embedded server does; ends it.

    Raises:
        ServerFailed: if it has not said so within 120 s.
    """
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            # A group of its own: Ctrl-C ends it in order, as whoever measures ends.
            start_new_session=True,
        )
        try:
            assert process.stdout is not None
            said = b""
            # One line at once, or nothing: a server that ended has closed its stdout.
            if select.select([process.stdout], [], [], _START)[0]:
                said = process.stdout.readline()
            ready = _READY.fullmatch(said)
            if ready is None:
                _kill(process)
                errors.seek(0)
                text = (said + errors.read())[-2000:].decode(errors="replace").strip()
                raise ServerFailed(f"the server did not start: {text or 'it says nothing'}")
            host, rest_port, grpc_port = ready.groups()
            yield RunningServer(process.pid, host.decode(), int(rest_port), int(grpc_port or 0))
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_DRAIN)
    except subprocess.TimeoutExpired:
        _kill(process)
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kills a process that has not been waited for, and those that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
