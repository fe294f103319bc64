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
_LONGEST = dict(enumerate((31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), 1))
"""Days of a month at the most."""

_ITEM = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>[1-9]\d*))?")


def cron_fault(text: str) -> str | None:
    """Returns what is wrong with a cron text; None if it is one.

    It is one of the five fields of crontab(5): `*`, numbers, names, ranges, lists and steps. A
    preset has no fault either. A day that never comes is one: Airflow takes the text, and then
    fails to find the DAG's next run.
    """
    if text in PRESETS:
        return None
    parts = text.split()
    if len(parts) != len(_FIELDS):
        return f"{len(parts)} fields instead of five"
    values: dict[str, set[int]] = {}
    for part, (field, low, high, names) in zip(parts, _FIELDS, strict=True):
        found = [_numbers(item.lower(), low, high, names) for item in part.split(",")]
        if not all(found):
            return f"{part!r} is no {field}, from {low} to {high}"
        values[field] = set().union(*found)
    _, _, day, month, weekday = parts
    # Days of the week count beside those of the month, unless they are all.
    if "*" not in weekday.split(","):
        return None
    if min(values["day of the month"]) > max(_LONGEST[number] for number in values["month"]):
        return f"day {day} never comes in month {month}"
    return None


def _numbers(text: str, low: int, high: int, names: dict[str, int]) -> range:
    """Returns the numbers of an item of a field, none of what is no such item."""
    match = _ITEM.fullmatch(text)
    if match is None:
        return range(0)
    first, last = (
        names.get(end, int(end) if end.isascii() and end.isdecimal() else -1)
        for end in (match["first"] or str(low), match["last"] or match["first"] or str(high))
    )
    if not low <= first <= last <= high:
        return range(0)
    step = match["step"]
    if step is None:
        return range(first, last + 1)
    # `a/n` goes to the end.
    return range(first, (last if match["last"] else high) + 1, int(step))
