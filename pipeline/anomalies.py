"""What a person sees of the gate's verdict, and how they answer it."""

from __future__ import annotations

import datetime
import json
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.program import shell_line
from serving.atomic_files import replace_text

ANOMALIES_FILE = "anomalies.json"
"""The verdict, in the run's folder."""

_MOST_ROWS, _WIDEST_CELL = 20, 46


def accept(run_dir: Path, why: str) -> None:
    """Leaves word for the gate of a run that what it finds is accepted, by whom and why."""
    from components.anomaly_gate.verdict import Acceptance, write_acceptance
    from serving.history import user_name

    at = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    by = f"{user_name()}@{socket.gethostname()}"
    write_acceptance(run_dir, Acceptance(by, why, at, run_dir.name))


def write_anomalies(run_dir: Path, verdict: Mapping[str, Any]) -> None:
    """Writes the verdict into the run's folder."""
    text = json.dumps(verdict, indent=1, ensure_ascii=False) + "\n"
    replace_text(run_dir / ANOMALIES_FILE, text)


def shown(verdict: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the findings that stop, then those that are warned of."""
    return [
        finding
        for level in ("stop", "warn")
        for finding in verdict["findings"]
        if finding["level"] == level
    ]


def anomaly_lines(verdict: Mapping[str, Any]) -> list[str]:
    """Returns a count and a table of what stops and what is warned of; nothing if nothing is."""
    findings = shown(verdict)
    if not findings:
        return []
    stops = sum(finding["level"] == "stop" for finding in findings)
    rows = [("LEVEL", "FEATURE", "RULE", "EXPECTED", "FOUND", "AGAINST", "SPLITS")]
    rows += [
        (
            found["level"],
            *(_cell(found[name]) for name in ("feature", "rule", "expected", "found", "against")),
            ",".join(found["splits"]),
        )
        for found in findings[:_MOST_ROWS]
    ]
    lines = [f"anomalies  {stops} stop, {len(findings) - stops} warn", *table(rows)]
    more = len(findings) - _MOST_ROWS
    return lines + ([f"  ... and {more} more in {ANOMALIES_FILE}"] if more > 0 else [])


def acceptance_text(acceptance: Mapping[str, str]) -> str:
    """Returns who accepted and why, in one line."""
    return f"by {acceptance['by']}: {_one_line(acceptance['why'])}"


def answers(
    command: Sequence[str], configuration: Sequence[str], schema_path: str | None
) -> list[str]:
    """Returns what may be done about data that were stopped.

    Args:
        command: that runs the pipeline, or goes on with the run, as words after `tapeline`.
        configuration: the file and the overrides.
        schema_path: of the reviewed schema; None if it is inferred.
    """
    verb = "freeze" if schema_path is None else "diff"
    return [
        f"accept     {shell_line(*command)} --accept-anomalies 'WHY'",
        f"review     {shell_line('schema', verb, *configuration)}",
    ]


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns rows as lines of aligned columns, indented."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(cell.ljust(wide) for cell, wide in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _cell(text: str) -> str:
    text = _one_line(text)
    return text if len(text) <= _WIDEST_CELL else text[: _WIDEST_CELL - 3] + "..."


def _one_line(text: str) -> str:
    return " ".join(text.split())
