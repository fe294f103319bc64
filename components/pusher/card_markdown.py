"""A model card as Markdown, with tables as GitHub has them."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# An underscore within a word is plain text anyway, and names are full of them.
_MARKUP = re.compile(r"[\\`*\[\]<|~&#]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def card_markdown(card: Mapping[str, Any]) -> str:
    """Returns the text of a card of `model_card.make_card`; values are shown as they are."""
    lineage = card["lineage"]
    sections = [
        (None, _table(("", ""), _identity(card))),
        ("Metrics on the test split", _metrics(card["metrics"], card["baseline"])),
        ("Thresholds", [_threshold(found) for found in card["thresholds"]]),
        ("Metrics by slice", _slices(card["slices"])),
        ("Data", _table(("", ""), card["data"].items())),
        ("Rows", _table(("Split", "Rows"), card["rows"].items())),
        ("Signatures", _signatures(card["signatures"])),
        (
            "Lineage",
            _table(
                ("Artifact", "Id", "Type", "Place"),
                ((role, *found.values()) for role, found in lineage["artifacts"].items()),
            ),
        ),
    ]
    lines = [f"# {_text(card['name'])}"]
    for title, content in sections:
        if content:
            lines += ["", *([f"## {title}", ""] if title else []), *content]
    return "\n".join(lines) + "\n"


def _identity(card: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    task = card["task"] or {"name": None, "options": {}}
    yield "Digest", card["digest"]
    yield "Created", card["created"]
    yield "Task", task["name"]
    yield from ((f"Option {name}", value) for name, value in task["options"].items())
    yield "Code", card["code"]
    if card["libraries"]:
        versions = (f"{name} {version}" for name, version in card["libraries"].items())
        yield "Libraries", ", ".join(versions)
    yield "Schema, SHA-256", card["schema_sha256"]
    yield "Run", card["lineage"]["run_id"]
    yield "Execution of the push", card["lineage"]["execution_id"]


def _metrics(metrics: Mapping[str, Any], baseline: Mapping[str, Any] | None) -> list[str]:
    if baseline is None:
        rows = [(name, _figure(value)) for name, value in metrics.items()]
        return _table(("Metric", "Model"), rows)
    both = [(name, _figure(v), _figure(baseline.get(name))) for name, v in metrics.items()]
    return _table(("Metric", "Model", "Last blessed model"), both)


def _threshold(found: Mapping[str, Any]) -> str:
    return f"- {'passed' if found['passed'] else '**failed**'}: {_text(found['check'])}"


def _slices(slices: Mapping[str, Mapping[str, Any]]) -> list[str]:
    names = sorted({name for values in slices.values() for name in values})
    rows = [(key, *(_figure(values.get(n)) for n in names)) for key, values in slices.items()]
    return _table(("Slice", *names), rows)


def _signatures(signatures: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return _table(
        ("Signature", "Method", "Inputs", "Outputs"),
        (
            (name, found["method"], _tensors(found["inputs"]), _tensors(found["outputs"]))
            for name, found in signatures.items()
        ),
    )


def _tensors(tensors: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns the aliases with their types; those that follow each other share one."""
    described = [
        (alias, f"{one['dtype']} {_shape(one['shape'])}{_or_nothing(one)}")
        for alias, one in tensors.items()
    ]
    return "; ".join(
        f"{', '.join(alias for alias, _ in group)}: {kind}"
        for kind, group in itertools.groupby(described, key=lambda found: found[1])
    )


def _or_nothing(tensor: Mapping[str, Any]) -> str:
    """Says of an input that rows may lack it."""
    return ", or nothing" if tensor.get("nullable") else ""


def _shape(shape: Sequence[int | None] | None) -> str:
    if shape is None:
        return "of any shape"
    return "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Returns the lines of a table; none without rows."""
    lines = [_row(row) for row in rows]
    return [_row(head), _row(["---"] * len(head), escape=False), *lines] if lines else []


def _row(cells: Iterable[Any], escape: bool = True) -> str:
    return "| " + " | ".join(_text(cell) if escape else cell for cell in cells) + " |"


def _text(value: Any) -> str:
    """Returns a value as text that Markdown shows as it is, in one line."""
    if isinstance(value, (dict, list)):
        value = json.dumps(value, ensure_ascii=False)
    plain = "none" if value is None else " ".join(str(value).split())
    return _MARKUP.sub(lambda found: f"\\{found.group()}", plain)
