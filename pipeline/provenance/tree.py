"""A version's account as a tree for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from pipeline.provenance.account import Account
from pipeline.provenance.differences import shortened
from trainer_module.config import TrainConfig

_MOST_SOURCES = 20
_DIGITS = 12
"""Of a hash that are shown."""


@dataclass
class Branch:
    """A line, and what belongs to it."""

    text: str
    branches: list[Branch] = field(default_factory=list)

    def lines(self, depth: int = 0) -> Iterator[str]:
        """Yields the tree as plain lines, indented."""
        yield "  " * depth + self.text
        for branch in self.branches:
            yield from branch.lines(depth + 1)


def tree(found: Account) -> Branch:
    """Returns what `account` gathered as a tree."""
    branches = [
        _line("pushed", f"{_run(found['pushed'])}, digest {_short(found['digest'])}"),
        _decision(found["decision"]),
        _training(found["training"]),
        _transform(found["transform"]),
        _schema(found["schema"]),
        _gate(found["gate"]),
        _data(found["data"]),
        _libraries(found["libraries"]),
        _gone(found["gone"]),
    ]
    title = f"{found['model_name']} version {found['version']}  {found['folder']}"
    return Branch(title, [branch for branch in branches if branch is not None])


def _decision(found: Account) -> Branch:
    how = f"evaluated in {_run(found)}" if "run_id" in found else "not evaluated"
    branch = _line("decided", how)
    baseline = found["baseline_metrics"] or {}
    for name, value in found["metrics"].items():
        before = baseline.get(name)
        against = f"  (last blessed {_figure(before)})" if before is not None else ""
        branch.branches.append(Branch(f"{name} {_figure(value)}{against}"))
    branch.branches += [
        Branch(f"{'passed' if one['passed'] else 'failed'}: {one['check']}")
        for one in found["thresholds"]
    ]
    if found["baseline"]:
        branch.branches.append(Branch(f"compared with {_model(found['baseline'])}"))
    return branch


def _training(found: Account) -> Branch:
    branch = _line("trained", f"{_run(found)}, {found['seconds']:.1f} s")
    task = found["task"] or {}
    if task:
        branch.branches += [
            Branch(f"task {task['name']}, label {found['label']}"),
            Branch(f"code {found['code']}"),
            *_settings("options", task["options"]),
            *_settings("train", _chosen(found["train"])),
        ]
    if found["warm_start"]:
        branch.branches.append(Branch(f"began with {_model(found['warm_start'])}"))
    return branch


def _transform(found: Account) -> Branch | None:
    if not found:
        return None
    branch = _line("transform", f"{_run(found)}, code {found['code']}")
    branch.branches += _settings("options", found["options"])
    return branch


def _schema(found: Account) -> Branch | None:
    if not found:
        return None
    origin = f"file {found['file']}" if found["file"] else "inferred"
    return _line("schema", f"{origin}, sha256 {_short(found['sha256'])}, {_run(found)}")


def _gate(found: Account) -> Branch | None:
    if not found:
        return None
    branch = _line("gate", f"let through in {_run(found)}")
    if found["accepted_by"]:
        text = f"anomalies accepted by {found['accepted_by']}: {found['accepted_why']}"
        branch.branches.append(Branch(text))
    before = found["compared_with"]
    if before:
        span = f" (span {before['span']})" if before["span"] else ""
        branch.branches.append(Branch(f"compared with the data of run {before['run_id']}{span}"))
    return branch


def _data(found: Account) -> Branch | None:
    if not found:
        return None
    settings = found["settings"]
    place = settings.get("path") or settings.get("dataset") or settings.get("query") or ""
    branch = _line("data", f"{settings.get('source')} {place}".rstrip() + f", {_run(found)}")
    if found["span"]:
        branch.branches.append(Branch(f"span {found['span']}"))
    if found["rows"]:
        rows = ", ".join(f"{count} {split}" for split, count in found["rows"].items())
        aside = f", {found['put_aside']} put aside" if found["put_aside"] else ""
        branch.branches.append(Branch(f"rows {rows}{aside}"))
    if found["fingerprint"]:
        branch.branches.append(Branch(f"fingerprint {_short(found['fingerprint'])}"))
    branch.branches.append(Branch(f"code {found['code']}"))
    sources: Sequence[Mapping[str, Any]] | None = found["sources"]
    if sources is None:
        branch.branches.append(Branch("sources unknown: the examples' account is not there"))
        return branch
    branch.branches += [Branch(_source(source)) for source in sources[:_MOST_SOURCES]]
    if len(sources) > _MOST_SOURCES:
        more = len(sources) - _MOST_SOURCES
        branch.branches.append(Branch(f"and {more} more; --json names all"))
    return branch


def _source(found: Mapping[str, Any]) -> str:
    parts = [f"{found['kind']} {' '.join(str(found['name']).split())}"]
    if found["kind"] == "folder":
        parts.append(f"{found['files']} files")
    if found["bytes"]:
        parts.append(f"{found['bytes']} bytes")
    if found["sha256"]:
        parts.append(f"sha256 {_short(found['sha256'])}")
    if found["version"]:
        parts.append(str(found["version"]))
    return ", ".join(parts)


def _libraries(found: Mapping[str, str]) -> Branch | None:
    if not found:
        return None
    return _line("libraries", ", ".join(f"{name} {version}" for name, version in found.items()))


def _gone(found: Sequence[str]) -> Branch | None:
    if not found:
        return None
    return Branch("gone       artifacts whose folders are no longer there", [*map(Branch, found)])


def _settings(title: str, values: Mapping[str, Any]) -> list[Branch]:
    """Returns settings, one a line, under a title; nothing if there are none."""
    lines = [Branch(f"{key} {shortened(value)}") for key, value in _flat(values)]
    return [Branch(title, lines)] if lines else []


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _chosen(train: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the options of a training that are not the defaults; all of another release's."""
    try:
        config = TrainConfig.model_validate_json(json.dumps(train))
    except ValidationError:
        return train
    return config.model_dump(mode="json", exclude_defaults=True)


def _model(found: Mapping[str, Any]) -> str:
    version = f"version {found['version']}" if found["version"] else "a model that was not pushed"
    return f"{version}, trained in run {found['run_id']}"


def _run(found: Mapping[str, Any]) -> str:
    return f"run {found['run_id']} at {found['began'].replace('+00:00', 'Z')}"


def _line(title: str, text: str) -> Branch:
    return Branch(f"{title:<10} {text}")


def _short(digest: str | None) -> str:
    return digest[:_DIGITS] if digest else "unknown"


def _figure(value: float | None) -> str:
    return "nan" if value is None else f"{value:.4f}"
