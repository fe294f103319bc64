"""How the API server reads a cron expression: as robfig/cron v1, seconds first."""

from __future__ import annotations

import re

# robfig/cron v1, parser.go: fields, their bounds and the names in two of them
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_BOUNDS: tuple[tuple[int, int, list[str]], ...] = (
    (0, 59, []),
    (0, 59, []),
    (0, 23, []),
    (1, 31, []),
    (1, 12, ["", *_MONTHS]),
    (0, 6, ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
)
_DESCRIPTORS = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"]


def check_cron(text: str) -> None:
    """robfig/cron v1, Parse: five fields are seconds to month, and a sixth is the weekday."""
    if text.startswith("@"):
        if text not in _DESCRIPTORS and not re.fullmatch(r"@every (\d+(\.\d+)?(h|m|s))+", text):
            raise ValueError(f"Unrecognized descriptor: {text}")
        return
    fields = text.split()
    if not 5 <= len(fields) <= 6:
        raise ValueError(f"Expected 5 to 6 fields, found {len(fields)}: {text}")
    for field, bounds in zip(fields, _BOUNDS, strict=False):
        for part in field.split(","):
            _check_range(part, *bounds)


def _check_range(part: str, low: int, high: int, names: list[str]) -> None:
    span, _, step = part.partition("/")
    if step and not step.isdecimal():
        raise ValueError(f"Failed to parse int from {step}")
    if span in ("*", "?"):
        return
    ends = []
    for end in span.split("-"):
        if end.lower() in names and end:
            ends.append(names.index(end.lower()))
        elif end.isdecimal():
            ends.append(int(end))
        else:
            raise ValueError(f'Failed to parse int from {end}: strconv.Atoi: parsing "{end}"')
    if len(ends) > 2:
        raise ValueError(f"Too many hyphens: {part}")
    if ends[0] < low:
        raise ValueError(f"Beginning of range ({ends[0]}) below minimum ({low}): {part}")
    if ends[-1] > high:
        raise ValueError(f"End of range ({ends[-1]}) above maximum ({high}): {part}")
    if ends[0] > ends[-1]:
        raise ValueError(f"Beginning of range beyond end of range: {part}")
