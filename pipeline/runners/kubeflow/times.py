"""Times as people write them, and as Kubeflow's schedules have them."""

from __future__ import annotations

import re
from datetime import datetime, timezone

from pipeline.config_file import ConfigError, Problem

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def six_fields(cron: str) -> str:
    """Returns a cron expression as Kubeflow reads it, which has seconds in front.

    It takes five fields too, and takes the first for seconds: '0 2 * * *', nightly anywhere else,
    would run every hour.
    """
    fields = cron.split()
    if len(fields) == 5:
        return " ".join(["0", *fields])
    if len(fields) == 6 or cron.startswith("@"):
        return " ".join(fields)
    allowed = "five fields, minute first, or six with seconds in front: '0 2 * * *'"
    raise ConfigError(Problem("schedule", "--cron", f"{cron!r}, {len(fields)} fields", allowed))


def seconds(every: str) -> int:
    found = re.fullmatch(r"([1-9]\d*)([smhd]?)", every)
    if found is None:
        raise ConfigError(Problem("schedule", "--every", every, "a time such as 90s, 15m, 6h, 1d"))
    return int(found[1]) * _UNITS[found[2]]


def instant(option: str, text: str | None) -> str | None:
    """Returns a time as the API has them, RFC 3339; without a zone it is UTC."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        allowed = "a time such as 2026-12-01T00:00:00Z"
        raise ConfigError(Problem("schedule", option, text, allowed)) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
