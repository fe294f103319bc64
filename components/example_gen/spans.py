"""Spans: data that come by the day or by a number, in files whose names say which.

The patterns are TFX's: `{SPAN}` is a number, `{YYYY}`, `{MM}` and `{DD}` together a date, and
`{VERSION}` tells the files of one span apart, the highest being the one that counts.
"""

from __future__ import annotations

import datetime
import re
import sys

from components.example_gen.file_access import matching, resolved, told
from components.example_gen.source import DataError

_PARTS = {
    "{SPAN}": r"(?P<span>\d+)",
    "{YYYY}": r"(?P<year>\d{4})",
    "{MM}": r"(?P<month>\d{2})",
    "{DD}": r"(?P<day>\d{2})",
    "{VERSION}": r"(?P<version>\d+)",
}
_DATE = ("{YYYY}", "{MM}", "{DD}")
_FIRST_DAY = datetime.date(1970, 1, 1)
_SHOWN = 10
_ALLOWED = "{SPAN}, or {YYYY}, {MM} and {DD}, each once, and {VERSION} besides"


def has_span(path: str) -> bool:
    """Returns whether a path is a pattern of spans.

    Raises:
        DataError: if it is one that leaves the span open.
    """
    found = {part: path.count(part) for part in _PARTS if part in path}
    if not found:
        return False
    dated = [part for part in _DATE if part in found]
    if max(found.values()) > 1 or ("{SPAN}" in found) == bool(dated) or len(dated) not in (0, 3):
        raise DataError.at(path, f"found {' '.join(found)}", _ALLOWED)
    return True


def latest_spans(path: str, window: int, last: int | str | None = None) -> dict[int, list[str]]:
    """Returns the paths of the latest spans by number, a date's in days, the oldest of them first.

    Args:
        path: a pattern; what it leads to are files or folders.
        window: how many spans.
        last: the number of the span to end with, or its date as ISO 8601 has it; None: the latest.

    Raises:
        DataError: if there is no span, or not the last one.
    """
    parts = re.split("(" + "|".join(map(re.escape, _PARTS)) + ")", resolved(path))
    pattern = "".join("*" if part in _PARTS else part for part in parts)
    regex = re.compile("".join(_PARTS.get(part) or _of_glob(part) for part in parts))
    versions: dict[int, int] = {}
    found: dict[tuple[int, int], list[str]] = {}
    with told(path, "files or folders whose names have this pattern"):
        names = matching(pattern)
    for name in names:
        match = regex.fullmatch(name)
        span = _span(match) if match else None
        if match and span is not None:
            version = int(match.groupdict().get("version") or 0)
            versions[span] = max(version, versions.get(span, version))
            found.setdefault((span, version), []).append(name)
    if not versions:
        raise DataError.at(path, "found no span", "files or folders whose names have this pattern")
    if last is not None:
        end = last if isinstance(last, int) else _days(datetime.date.fromisoformat(last))
        if end not in versions or isinstance(last, int) == ("{YYYY}" in path):
            known = [str(span_name(path, span)) for span in sorted(versions)]
            allowed = f"null, or one of {', '.join(known[-_SHOWN:])}"
            raise DataError.at(path, f"no span {last}", allowed)
        versions = {span: version for span, version in versions.items() if span <= end}
    return {span: found[span, versions[span]] for span in sorted(versions)[-window:]}


class RangeError(DataError):
    """Spans that were asked for, and are none of the data's."""


def spans_between(path: str, first: int | str, last: int | str) -> dict[int | str, list[str]]:
    """Returns the paths of the spans from the first to the last, both included, oldest first.

    Args:
        path: a pattern.
        first, last: numbers, or dates as ISO 8601 has them; spans of these need not be there.

    Raises:
        DataError: if the data have no span at all.
        RangeError: if there is none in the range, or the pattern's spans are named otherwise.
    """
    for name in (first, last):
        if isinstance(name, int) == ("{YYYY}" in path):
            allowed = "a date such as 2026-01-31" if "{YYYY}" in path else "a number"
            raise RangeError.at(path, f"span {name} wanted", allowed)
    low, high = (
        name if isinstance(name, int) else _days(datetime.date.fromisoformat(name))
        for name in (first, last)
    )
    known = latest_spans(path, sys.maxsize)
    found = {span_name(path, span): known[span] for span in known if low <= span <= high}
    if not found:
        names = ", ".join(str(span_name(path, span)) for span in [*known][-_SHOWN:])
        raise RangeError.at(path, f"no span from {first} to {last}", f"some of {names}")
    return found


def _span(match: re.Match[str]) -> int | None:
    """Returns the number of a span, a date's in days; None for a date that does not exist."""
    parts = match.groupdict()
    if "span" in parts:
        return int(parts["span"])
    try:
        date = datetime.date(int(parts["year"]), int(parts["month"]), int(parts["day"]))
    except ValueError:
        return None
    return _days(date)


def _days(date: datetime.date) -> int:
    return (date - _FIRST_DAY).days


def span_name(path: str, span: int) -> int | str:
    """Returns a span as a configuration names it: its number, or its date as ISO 8601 has it.

    Args:
        path: the pattern that it was found by.
    """
    if "{SPAN}" in path:
        return span
    return (_FIRST_DAY + datetime.timedelta(span)).isoformat()


def _of_glob(text: str) -> str:
    """Returns the regular expression of a part of a glob; what it matches is in one folder."""
    return "".join({"*": "[^/]*", "?": "[^/]"}.get(letter) or re.escape(letter) for letter in text)
