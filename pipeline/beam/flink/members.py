"""A process of the local cluster: started, watched, started again, and ended with all its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.beam.flink.cluster_file import Process, start_time

_GRACE = 10.0
_POLL = 0.05


class Member:
    """One process, in a group of its own, so that Ctrl-C reaches the launcher alone."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self._command = command
        self._env = env
        self._process: subprocess.Popen[bytes] | None = None
        self._began = 0.0

    def start(self) -> None:
        """Starts it, for the first time or again."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._env,
                start_new_session=True,
            )
        self._began = time.monotonic()

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        assert self._process is not None
        return self._process.poll()

    @property
    def lived(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self._began

    def process(self) -> Process:
        """Returns what the cluster's file says of it."""
        assert self._process is not None
        return Process(self.name, self._process.pid, start_time(self._process.pid) or 0)

    def ask_to_stop(self) -> None:
        """Asks it and its group to end."""
        if self._process is not None:
            _signal(self._process.pid, signal.SIGTERM)

    def stop(self) -> None:
        """Ends it and its group."""
        if self._process is None:
            return
        self.ask_to_stop()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE)
        _signal(self._process.pid, signal.SIGKILL)
        self._process.wait()


def end(process: Process, grace: float = _GRACE) -> bool:
    """Ends a process that somebody else started, and its group; returns whether it was there."""
    if not process.is_alive():
        return False
    # The launcher is in its terminal's group: it alone is meant.
    os.kill(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while process.is_alive() and time.monotonic() < deadline:
        time.sleep(_POLL)
    if process.is_alive():
        os.kill(process.pid, signal.SIGKILL)
    return True


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)
