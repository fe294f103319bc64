"""The folder that the checkpoints of all trainings of a pipeline lie in, each in one of its own."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

INPUT_CACHE = "input"
"""Folder beside those of checkpoints: what is kept of the files that are read."""

USED_BY = "used_by.txt"
"""File in a checkpoint folder: the executions that trained there, and their runs, one a line."""


class Use(NamedTuple):
    """An execution of ML Metadata by its number, and its run; None if it was not noted."""

    execution: str
    run_id: str | None = None


def note_use(folder: Path, use: Use) -> None:
    """Notes that an execution trains with the checkpoints of a folder.

    What frees old ones goes by it: neither the metadata nor the folder's name tell. The run is
    noted too, since numbers begin anew with a new store.
    """
    if use not in used_by(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / USED_BY).open("a", encoding="utf-8") as file:
            file.write(" ".join(filter(None, use)) + "\n")


def used_by(folder: Path) -> list[Use]:
    """Returns the executions that trained with the checkpoints of a folder, the first one first."""
    path = folder / USED_BY
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [Use(*line.split()[:2]) for line in lines if line.strip()]
