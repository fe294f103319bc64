"""What was done to a model's labels, by whom and when: one JSON object a line, appended.

An operation is recorded before it is carried out, with the labels that it found and those that it
is about to set. Whether it was carried out is no claim of its line: the labels that the next one
found say so, and models.config after the last. A kill between the two leaves no lie behind, and a
line that was cut short is one of an operation that did not happen.
"""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from serving.atomic_files import append_line
from serving.version_policy import STABLE

PUSH, ROLLBACK, PROMOTE = "push", "rollback", "promote"
DONE, NO_EFFECT, CHANGED = "done", "no effect", "changed since"
"""Outcomes: the labels came to be as recorded; they stayed; somebody else changed them."""


@dataclass(frozen=True)
class Entry:
    """An operation.

    Attributes:
        time: ISO 8601, UTC.
        before: version by label, as models.config had them.
        after: version by label, as the operation was about to set them.
    """

    time: str
    operation: str
    version: int
    user: str
    before: Mapping[str, int]
    after: Mapping[str, int]


def history_file(root: Path, model_name: str) -> Path:
    return root / f"{model_name}.history.jsonl"


def record(
    path: Path, operation: str, version: int, before: Mapping[str, int], after: Mapping[str, int]
) -> None:
    """Appends an operation that is about to be carried out; on disk when it returns."""
    time = datetime.now(timezone.utc).isoformat(timespec="seconds")
    entry = Entry(time, operation, version, user_name(), dict(before), dict(after))
    append_line(path, json.dumps(asdict(entry)))


def read_history(path: Path) -> list[Entry]:
    """Returns the operations, oldest first; lines that were cut short are left out."""
    if not path.is_file():
        return []
    return list(_entries(path.read_text(encoding="utf-8", errors="replace")))


def outcomes(entries: Sequence[Entry], labels: Mapping[str, int]) -> list[str]:
    """Returns DONE, NO_EFFECT or CHANGED for each operation.

    Args:
        labels: as models.config has them now.
    """
    found = [*(entry.before for entry in entries[1:]), labels]
    return [
        DONE if entry.after == after else NO_EFFECT if entry.before == after else CHANGED
        for entry, after in zip(entries, found, strict=False)
    ]


def was_labelled(entries: Sequence[Entry], version: int) -> bool:
    """Returns whether an operation found a label on that version."""
    return any(version in entry.before.values() for entry in entries)


def withdrawn(
    entries: Sequence[Entry], labels: Mapping[str, int], present: Sequence[int]
) -> set[int]:
    """Returns the versions that a rollback went back over, and that were not made stable since.

    Args:
        labels: as models.config has them now.
        present: the versions to choose from.
    """
    found: set[int] = set()
    for entry, outcome in zip(entries, outcomes(entries, labels), strict=True):
        if outcome == NO_EFFECT or STABLE not in entry.after:
            continue
        stable = entry.after[STABLE]
        if entry.operation == ROLLBACK:
            left = entry.before.get(STABLE, stable)
            found |= {version for version in present if stable < version <= left}
        found.discard(stable)
    return found


def _entries(text: str) -> Iterator[Entry]:
    for line in text.splitlines():
        try:
            entry = Entry(**json.loads(line))
            dict(entry.before), dict(entry.after)
        except (json.JSONDecodeError, TypeError, ValueError):
            continue
        yield entry


def user_name() -> str:
    """Returns who runs this process, by name, or by number where there is no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user id without a name
        return str(os.getuid())
