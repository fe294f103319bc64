"""Reads verdicts of the gate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def stops(verdict: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the findings that stop."""
    return [
        {key: found[key] for key in ("feature", "rule", "expected", "found", "against", "splits")}
        for found in verdict["findings"]
        if found["level"] == "stop"
    ]
