"""`tapeline versions`: what a serving directory holds of a model, and what was done to it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.arguments import Model, Set
from pipeline.served_model import pushed_model_folder, readable_models_config

if TYPE_CHECKING:
    from serving.inventory import VersionInfo


def versions(
    model: Model,
    set_: Set = None,
    history: Annotated[
        bool, typer.Option("--history", help="What was done instead: who moved which label, when.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List the versions of a model, oldest first: labels, whether they are served, metrics.

    `default` is the version that answers requests without a label: the largest that is served.

    Example: tapeline versions configs/digits.yaml --history
    """
    from serving.inventory import default_warning, list_versions

    base = pushed_model_folder(model, set_ or [])
    with readable_models_config(base):
        lines = _history_lines(base, as_json) if history else None
        found = list_versions(base)
    if lines is None:
        lines = [_as_json(info) for info in found] if as_json else _table(found)
    for line in lines:
        print(line)
    labels = {label: info.version for info in found for label in info.labels}
    warning = default_warning(labels, [info.version for info in found if info.is_served])
    if warning and not as_json:
        typer.echo(f"note: {warning}", err=True)


def _as_json(info: VersionInfo) -> str:
    return json.dumps({**dataclasses.asdict(info), "folder": str(info.folder)})


def _table(found: Sequence[VersionInfo]) -> list[str]:
    rows = [("VERSION", "PUSHED", "LABELS", "SERVED", "SIZE", "DIGEST", "METRICS")]
    rows += [
        (
            str(info.version),
            info.pushed,
            ",".join(info.labels) or "-",
            _served(info),
            _size(info.size_bytes),
            (info.digest or "-")[:12],
            "  ".join(f"{name} {value:.4g}" for name, value in info.metrics.items()) or "-",
        )
        for info in found
    ]
    return _columns(rows)


def _history_lines(base: Path, as_json: bool) -> list[str]:
    from serving.history import history_file, outcomes, read_history
    from serving.rollout import read_folder

    base = base.resolve()
    entries = read_history(history_file(base.parent, base.name))
    ends = outcomes(entries, read_folder(base.parent, base.name).labels)
    if as_json:
        return [
            json.dumps({**dataclasses.asdict(entry), "outcome": end})
            for entry, end in zip(entries, ends, strict=True)
        ]
    rows = [("TIME", "OPERATION", "VERSION", "USER", "BEFORE", "AFTER", "OUTCOME")]
    rows += [
        (
            entry.time,
            entry.operation,
            str(entry.version),
            entry.user,
            _labels(entry.before),
            _labels(entry.after),
            end,
        )
        for entry, end in zip(entries, ends, strict=True)
    ]
    return _columns(rows)


def _labels(labels: Mapping[str, int]) -> str:
    return ",".join(f"{label}={version}" for label, version in sorted(labels.items())) or "-"


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _served(info: VersionInfo) -> str:
    if not info.is_complete:
        return "incomplete"
    return "default" if info.is_default else "yes" if info.is_served else "no"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"
