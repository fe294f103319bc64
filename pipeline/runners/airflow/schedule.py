"""Which texts are a schedule of Airflow's, found out without Airflow: presets and cron."""

from __future__ import annotations

import re

PRESETS = ("@once", "@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    ("day of the week", 0, 7, {name: number for number, name in enumerate(_DAYS)}),
)
_ITEM = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>[1-9]\d*))?")


def cron_fault(text: str) -> str | None:
    """Returns what is wrong with a cron text; None if it is one.

    It is one of the five fields of crontab(5): `*`, numbers, names, ranges, lists and steps. A
    preset has no fault either.
    """
    if text in PRESETS:
        return None
    parts = text.split()
    if len(parts) != len(_FIELDS):
        return f"{len(parts)} fields instead of five"
    for part, (field, low, high, names) in zip(parts, _FIELDS, strict=True):
        if not all(_is_item(item.lower(), low, high, names) for item in part.split(",")):
            return f"{part!r} is no {field}, from {low} to {high}"
    return None


def _is_item(text: str, low: int, high: int, names: dict[str, int]) -> bool:
    match = _ITEM.fullmatch(text)
    if match is None:
        return False
    ends = [
        names.get(end, int(end) if end.isascii() and end.isdecimal() else -1)
        for end in (match["first"], match["last"])
        if end is not None
    ]
    return ends == sorted(ends) and all(low <= end <= high for end in ends)
