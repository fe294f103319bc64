"""How two parameters of a node differ, down to the keys within them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

ABSENT = object()
"""Stands for the value of a key that one side does not have."""

_WIDEST = 60

_QUERY = ("input_config", "splits", "0", "pattern")
"""Where the configuration of ExampleGen's data lies in its parameters."""


@dataclass(frozen=True)
class Difference:
    """A value that was another before; `key` is a dotted path, a list's items by their index."""

    key: str
    before: Any
    now: Any


def differences(before: Any, now: Any) -> list[Difference]:
    """Returns the innermost values that differ, in the order of their keys."""
    return [Difference(_name(path), old, new) for path, old, new in _walk((), before, now)]


def shortened(value: Any) -> str:
    """Returns a value as text that fits a line."""
    if value is ABSENT:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 3]}..."


def _walk(
    path: tuple[str, ...], before: Any, now: Any
) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    if before == now:
        return
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        before, now = ({str(n): item for n, item in enumerate(items)} for items in (before, now))
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted({*before, *now}):
            yield from _walk((*path, key), before.get(key, ABSENT), now.get(key, ABSENT))
    else:
        yield path, before, now


def _name(path: tuple[str, ...]) -> str:
    if path[: len(_QUERY)] == _QUERY:
        path = path[len(_QUERY) :]
    return ".".join(path)
