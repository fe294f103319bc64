"""Progress events across a process boundary: JSON lines through a pipe."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Collection

from trainer_module.progress import LOGGER_NAME, emit


class PipeHandler(logging.Handler):
    """Writes each event to a file descriptor; what reads there may be gone."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "event", None)
        if event is not None:
            with contextlib.suppress(OSError):
                os.write(self._descriptor, json.dumps(event).encode() + b"\n")


class PipeReader:
    """Emits in this process what a `PipeHandler` writes in another.

    Args:
        descriptor: the end to read from, made non-blocking; closed by `close`.
        kept: kinds of events that are for the reader alone.

    Attributes:
        last: the last event of each kind.
    """

    def __init__(self, descriptor: int, kept: Collection[str] = ()) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._kept = kept
        self._rest = b""
        self.last: dict[str, dict] = {}

    def relay(self) -> None:
        """Emits every event that has come."""
        while True:
            try:
                found = os.read(self._descriptor, 65536)
            except BlockingIOError:
                return
            if not found:
                return
            *lines, self._rest = (self._rest + found).split(b"\n")
            for line in lines:
                event = json.loads(line)
                self.last[event["kind"]] = event
                if event["kind"] not in self._kept:
                    emit(**event)

    def close(self) -> None:
        self.relay()
        os.close(self._descriptor)


def relay_events_to(descriptor: int) -> None:
    """Sends this process' events to a pipe, from now on."""
    logging.getLogger(LOGGER_NAME).addHandler(PipeHandler(descriptor))
