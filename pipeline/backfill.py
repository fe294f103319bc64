"""Runs a configuration once for each span of its data in a range, oldest first.

Each run is a process of its own, as `tapeline run` with `data.span` set: what one leaves in memory
is nothing to the next, and a span that ran before comes from the cache.
"""

from __future__ import annotations

import datetime
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.example_gen.config import TableConfig, where
from components.example_gen.source import DataError
from components.example_gen.spans import RangeError, has_span, spans_between
from pipeline.closing import EXIT_NOT_BLESSED, EXIT_OK
from pipeline.config_file import ConfigError, Problem, Source, load_config
from pipeline.program import program

Span = int | str
_DECIDED = (EXIT_OK, EXIT_NOT_BLESSED)
"""A model that is not blessed is a decision: the span keeps the version before."""

_SIGNALLED = 128


@dataclass(frozen=True)
class SpanRun:
    """How the run of a span ended.

    Attributes:
        exit: its exit code.
        summary: as `tapeline run --json` has it; {} of a run that gave none.
    """

    span: Span
    exit: int
    summary: Mapping[str, Any]

    @property
    def went_on(self) -> bool:
        """Whether the span came to a decision, so that the next one may run."""
        return self.exit in _DECIDED

    @property
    def status(self) -> str:
        return str(self.summary.get("status", f"exit {self.exit}"))


def find_spans(path: str, overrides: Sequence[str], first: str, last: str) -> dict[Span, list[str]]:
    """Returns the files or folders of each span of a configuration's data in a range.

    Args:
        first, last: a number or a date each; spans of these need not be there.

    Raises:
        ConfigError: if the data have no spans, or none in the range.
    """
    data = load_config(path, overrides).data
    source = Source(path, overrides)
    try:
        if not isinstance(data, TableConfig) or not has_span(data.path):
            found = f"{where(data)}, which names no spans"
            allowed = "a pattern with {SPAN}, or with {YYYY}, {MM} and {DD}"
            raise ConfigError(source.problem("data.path", found, allowed))
        return spans_between(data.path, _named(first, "--from"), _named(last, "--to"))
    except DataError as error:
        found, _, allowed = str(error).partition("; allowed: ")
        if isinstance(error, RangeError):
            raise ConfigError(Problem("backfill", "--from, --to", found, allowed)) from error
        raise ConfigError(source.problem("data.path", found, allowed)) from error


def run_spans(
    path: str,
    overrides: Sequence[str],
    spans: Sequence[Span],
    command: Sequence[str] | None = None,
) -> Iterator[SpanRun]:
    """Runs the spans one after the other, and yields how each ended; the first failure is the last.

    What the runs display goes to stderr. SIGTERM goes to the run that is going on, which ends with
    its training saved.

    Args:
        command: in the place of `tapeline`.
    """
    for span in spans:
        print(f"span {span}", file=sys.stderr, flush=True)
        done = _run(path, overrides, span, command or program())
        yield done
        if not done.went_on:
            return


def _run(path: str, overrides: Sequence[str], span: Span, tapeline: Sequence[str]) -> SpanRun:
    sets = [
        part for item in (*overrides, f"data.span={json.dumps(span)}") for part in ("--set", item)
    ]
    command = [*tapeline, "run", path, *sets, "--json"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    before = signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    try:
        while True:
            try:
                stdout, _ = child.communicate()
                break
            except KeyboardInterrupt:
                # The terminal interrupts the run too, which tells how it ended.
                continue
    finally:
        signal.signal(signal.SIGTERM, before)
    code = child.returncode if child.returncode >= 0 else _SIGNALLED - child.returncode
    return SpanRun(span, code, _summary(stdout))


def _summary(stdout: str) -> dict[str, Any]:
    try:
        summary: dict[str, Any] = json.loads(stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return {}
    return summary


def _named(text: str, option: str) -> Span:
    if text.isdecimal():
        return int(text)
    try:
        return datetime.date.fromisoformat(text).isoformat()
    except ValueError as error:
        allowed = "a number, or a date such as 2026-01-31"
        raise ConfigError(Problem("backfill", option, text, allowed)) from error
