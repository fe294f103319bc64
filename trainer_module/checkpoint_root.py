"""The folder that the checkpoints of all trainings of a pipeline lie in, each in one of its own."""

from __future__ import annotations

from pathlib import Path

INPUT_CACHE = "input"
"""Folder beside those of checkpoints: what is kept of the files that are read."""

USED_BY = "used_by.txt"
"""File in a checkpoint folder: the numbers of the executions that trained there, one a line."""


def note_use(folder: Path, execution: str) -> None:
    """Notes that an execution of ML Metadata trains with the checkpoints of a folder.

    What frees old ones goes by it: neither the metadata nor the folder's name tell.
    """
    if execution not in used_by(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / USED_BY).open("a", encoding="utf-8") as file:
            file.write(f"{execution}\n")


def used_by(folder: Path) -> list[str]:
    """Returns the executions that trained with the checkpoints of a folder, the first one first."""
    path = folder / USED_BY
    return path.read_text(encoding="utf-8").split() if path.is_file() else []
