"""The last run of a pipeline as a file for the textfile collector of Prometheus' node_exporter.

Pipelines may share a file: each replaces what is its own, by its label, and leaves the rest.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from pipeline import report
from pipeline.config_file import Problem, Source
from serving.atomic_files import exclusive, replace_text

if TYPE_CHECKING:
    from pipeline.config import RunConfig
    from pipeline.report import Summary

_STATUSES = (
    report.PUSHED,
    report.CACHED,
    report.NOT_BLESSED,
    report.ANOMALIES,
    report.FAILED,
    report.STOPPED,
)
_SUCCESS = (report.PUSHED, report.CACHED)

_LAST_SUCCESS = "tapeline_run_last_success_timestamp_seconds"
_SERVED = "tapeline_pushed_version"
_KEPT = (_LAST_SUCCESS, _SERVED)
"""What stays as it was when a run has nothing to say of it."""

HELP = {
    "tapeline_run_info": "The last run, by its id.",
    "tapeline_run_status": "1 for how the last run ended, 0 for the other ways.",
    "tapeline_run_end_timestamp_seconds": "When the last run ended.",
    _LAST_SUCCESS: "When a run last ended with its model in place.",
    "tapeline_run_duration_seconds": "How long the last run took.",
    "tapeline_node_duration_seconds": "How long each node of the last run took.",
    "tapeline_node_state": "1 for the state that each node of the last run ended in.",
    "tapeline_rows": "Rows that the last run read, by split.",
    "tapeline_rows_put_aside": "Rows that the last run could not use.",
    "tapeline_anomalies": "Anomalies that the last run found in the data, by level.",
    "tapeline_metric": "What the last run's model was measured at on the test split.",
    "tapeline_blessed": "1 if the last run's model was blessed, 0 if it was refused.",
    _SERVED: "The version that a run last found or put in place.",
}
"""What each figure is, by its name."""

_Sample = tuple[dict[str, str], float]


def write_run(path: Path, pipeline: str, summary: Summary, now: float | None = None) -> None:
    """Writes what became of a run, the file whole or not at all.

    Args:
        path: of the file; what it says of other pipelines stays.
        now: when the run ended, in seconds since 1970; None: just now.

    Raises:
        OSError: if the file cannot be written.
    """
    found: dict[str, list[_Sample]] = {name: [] for name in HELP}
    ended = time.time() if now is None else now
    for name, labels, value in _samples(summary, ended):
        found[name].append(({"pipeline": pipeline, **labels}, value))
    with exclusive(path.parent):
        for name, labels, value in _earlier(path):
            is_own = labels.get("pipeline") == pipeline
            if name in found and (
                not is_own or (name in _KEPT and not _has(found[name], pipeline))
            ):
                found[name].append((labels, value))
        replace_text(path, _text(found))


def monitor_problems(config: RunConfig, source: Source) -> list[Problem]:
    """Checks that the file can be written where it is to be."""
    if config.monitor.prometheus is None:
        return []
    key, folder = "monitor.prometheus", monitor_path(config.monitor.prometheus).parent
    allowed = "a file in a folder that can be written, which node_exporter reads"
    if not folder.is_dir():
        return [source.problem(key, f"{folder}, no folder", allowed)]
    if not os.access(folder, os.W_OK | os.X_OK):
        return [source.problem(key, f"{folder}, which cannot be written", allowed)]
    return []


def monitor_path(text: str) -> Path:
    """Returns the file that a configuration names."""
    return Path(text).expanduser().absolute()


def _samples(summary: Summary, ended: float) -> Iterator[tuple[str, dict[str, str], float]]:
    yield "tapeline_run_info", {"run_id": summary.run_id}, 1
    for status in _STATUSES:
        yield "tapeline_run_status", {"status": status}, summary.status == status
    yield "tapeline_run_end_timestamp_seconds", {}, ended
    if summary.status in _SUCCESS:
        yield _LAST_SUCCESS, {}, ended
    yield "tapeline_run_duration_seconds", {}, summary.seconds
    for node in summary.nodes:
        yield "tapeline_node_duration_seconds", {"node": node.name}, node.seconds
        yield "tapeline_node_state", {"node": node.name, "state": node.state}, 1
    for split, rows in summary.rows.items():
        yield "tapeline_rows", {"split": split}, rows
    if summary.rows:
        aside = summary.quarantined["rows"] if summary.quarantined else 0
        yield "tapeline_rows_put_aside", {}, aside
    if summary.anomalies:
        levels = [finding["level"] for finding in summary.anomalies["findings"]]
        for level in ("stop", "warn"):
            yield "tapeline_anomalies", {"level": level}, levels.count(level)
    for name, value in summary.metrics.items():
        yield "tapeline_metric", {"metric": name}, value
    if summary.blessing:
        yield "tapeline_blessed", {}, summary.blessing["blessed"]
    if summary.servable and Path(summary.servable).name.isdecimal():
        yield _SERVED, {}, int(Path(summary.servable).name)


def _earlier(path: Path) -> Iterator[tuple[str, dict[str, str], float]]:
    """Yields what the file says; nothing if there is none, or it is not of this format."""
    try:
        families = list(text_string_to_metric_families(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return
    for family in families:
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value


def _has(samples: Iterable[_Sample], pipeline: str) -> bool:
    return any(labels["pipeline"] == pipeline for labels, _ in samples)


def _text(found: Mapping[str, list[_Sample]]) -> str:
    registry = CollectorRegistry()
    for name, samples in found.items():
        if not samples:
            continue
        names = samples[0][0].keys()
        gauge = Gauge(name, HELP[name], sorted(names), registry=registry)
        for labels, value in sorted(samples, key=lambda sample: sorted(sample[0].items())):
            # Another release may have left other labels for another pipeline.
            if labels.keys() == names:
                gauge.labels(**labels).set(value)
    text: str = generate_latest(registry).decode()
    return text
