"""The events of a run as JSON lines in its folder, for programs that watch it.

    with events_of_run(run_dir, "digits"):
        ...                                # every progress event becomes a line of events.jsonl

    {"time": "2026-11-28T02:00:07.112Z", "run_id": "...", "kind": "node_end", "node": "Trainer",
     "state": "done", "seconds": 19.5}

Processes of the same run, as a scheduler starts them, append to the one file: each line is one
write, so that lines stay whole.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.json_values import finite
from trainer_module.progress import LOGGER_NAME, emit

if TYPE_CHECKING:
    from pipeline.report import Summary

EVENTS_FILE = "events.jsonl"
RUN_BEGIN, RUN_END = "run_begin", "run_end"

_FOR_EYES = ("train_step", "layer_report")
"""Kinds that come several times a second, or are tables: TensorBoard has the figures."""

_LOOK_SECONDS = 0.2


class EventLog(logging.Handler):
    """Appends the progress events of this process to a run's file while it is entered.

    A file that cannot be written fails no run: it is told once, on stderr.

    Args:
        run_dir: the run's folder, whose name is the run's id.

    Attributes:
        is_first: whether no process of the run had made the file before.
    """

    def __init__(self, run_dir: Path) -> None:
        super().__init__()
        self._path = run_dir / EVENTS_FILE
        self._run_id = run_dir.name
        self._descriptor: int | None = None
        self._node: str | None = None
        self._is_torn = False
        self._is_told = False
        self.is_first = False

    def __enter__(self) -> EventLog:
        with self._told():
            self._descriptor, self.is_first = _opened(self._path)
            self._is_torn = _ends_torn(self._descriptor)
        logging.getLogger(LOGGER_NAME).addHandler(self)
        return self

    def __exit__(self, *_exception: object) -> None:
        logging.getLogger(LOGGER_NAME).removeHandler(self)
        if self._descriptor is not None:
            os.close(self._descriptor)

    def emit(self, record: logging.LogRecord) -> None:
        event: dict[str, Any] = dict(getattr(record, "event", {}))
        kind = event.pop("kind", None)
        if kind is None or kind in _FOR_EYES or self._descriptor is None:
            return
        if kind == "node_begin":
            self._node = event["node"]
        # The findings are in anomalies.json and in the metadata.
        event.pop("verdict", None)
        node = event.pop("node", self._node)
        if kind in ("node_end", "node_failed"):
            event["seconds"] = round(event["seconds"], 3)
            self._node = None
        line = {
            "time": _utc(record.created),
            "run_id": self._run_id,
            "kind": kind,
            **({"node": node} if node else {}),
            **event,
        }
        with self._told():
            self._append(json.dumps(finite(line), ensure_ascii=False, default=str))

    def _append(self, line: str) -> None:
        # What another write left of a line must not take this one with it.
        content = f"{chr(10) if self._is_torn else ''}{line}\n".encode()
        assert self._descriptor is not None
        self._is_torn = True
        self._is_torn = os.write(self._descriptor, content) < len(content)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not self._is_told:
                logging.getLogger(__name__).warning("%s: %s", self._path, error)
            self._is_told = True


@contextlib.contextmanager
def events_of_run(run_dir: Path, pipeline: str) -> Iterator[None]:
    """Keeps the events of a run that is all in this process; `emit_outcome` ends it."""
    with EventLog(run_dir) as log:
        emit(RUN_BEGIN, pipeline=pipeline, resumed=not log.is_first)
        began = time.monotonic()
        try:
            yield
        except KeyboardInterrupt:
            seconds = round(time.monotonic() - began, 3)
            emit(RUN_END, status="interrupted", exit=130, seconds=seconds)
            raise


@contextlib.contextmanager
def events_of_node(run_dir: Path, pipeline: str) -> Iterator[None]:
    """Keeps the events of one process among those of a run; the first one begins it."""
    with EventLog(run_dir) as log:
        if log.is_first:
            emit(RUN_BEGIN, pipeline=pipeline, resumed=False)
        yield


def emit_outcome(summary: Summary, exit_code: int) -> None:
    """Emits what came out of a run, and its end."""
    if summary.rows:
        aside = summary.quarantined["rows"] if summary.quarantined else 0
        emit("read", rows=summary.rows, put_aside=aside)
    if summary.anomalies:
        levels = [finding["level"] for finding in summary.anomalies["findings"]]
        emit("anomalies", **{level: levels.count(level) for level in ("stop", "warn")})
    if summary.metrics:
        emit("evaluated", metrics=summary.metrics)
    if summary.blessing:
        blessing = summary.blessing
        emit("decision", blessed=blessing["blessed"], reason=blessing["reason"])
    if summary.status == "pushed" and summary.servable:
        emit("pushed", servable=summary.servable, version=Path(summary.servable).name)
    error = {"error": summary.error} if summary.error else {}
    seconds = round(summary.seconds, 3)
    emit(RUN_END, status=summary.status, exit=exit_code, seconds=seconds, **error)


def read_events(run_dir: Path) -> list[dict[str, Any]]:
    """Returns the events of a run, oldest first; what a killed write left of a line is none."""
    path = run_dir / EVENTS_FILE
    if not path.is_file():
        return []
    return [event for line in path.read_bytes().splitlines() if (event := _event(line))]


def follow_events(run_dir: Path, look_seconds: float = _LOOK_SECONDS) -> Iterator[dict[str, Any]]:
    """Yields the events of a run, those to come too, until the run ends.

    A run that was killed does not say so; one that goes on under the same id writes on.
    """
    path, read, last = run_dir / EVENTS_FILE, 0, ""
    while True:
        content = b""
        if path.is_file():
            with path.open("rb") as file:
                file.seek(read)
                content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        read += len(whole)
        for line in whole.splitlines():
            event = _event(line)
            if event:
                last = event["kind"]
                yield event
        if last == RUN_END:
            return
        time.sleep(look_seconds)


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "kind" in event else None


def _opened(path: Path) -> tuple[int, bool]:
    """Returns a descriptor to append to a file with, and whether this made the file."""
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
    try:
        return os.open(path, flags | os.O_EXCL, 0o644), True
    except FileExistsError:
        return os.open(path, flags, 0o644), False


def _ends_torn(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"


def _utc(seconds: float) -> str:
    at = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
