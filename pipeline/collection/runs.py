"""The runs of a pipeline, and which of them what they made is kept for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.collection.folders import TRASH
from pipeline.report import (
    CACHED,
    CHECKED,
    NOT_BLESSED,
    PUSHED,
    SUMMARY_FILE,
    json_object,
)
from pipeline.run_folder import CONFIG_FILE, REQUEST_FILE

_FINISHED = (PUSHED, CACHED, NOT_BLESSED, CHECKED)


@dataclass(frozen=True)
class Run:
    """A run.

    Attributes:
        folder: None if it was removed: then it cannot be resumed.
        began: seconds since 1970.
        is_finished: whether it came to its end, with a model pushed or not.
        can_resume: whether it did not, and its folder holds what it was asked for.
        asked: its configuration and what else it was asked for, as text.
    """

    run_id: str
    folder: Path | None
    began: float
    is_finished: bool
    can_resume: bool
    asked: str


def find_runs(folder: Path, began: Mapping[str, float]) -> list[Run]:
    """Returns the runs, newest first.

    Args:
        folder: of the runs' folders.
        began: when each run of the metadata began, by its id.
    """
    there = {path.name: path for path in folder.glob("*") if path.is_dir() and path.name != TRASH}
    runs = [_run(name, there.get(name), began.get(name)) for name in {*there, *began}]
    return sorted(runs, key=lambda run: (run.began, run.run_id), reverse=True)


def kept_runs(runs: Sequence[Run], newest: int) -> dict[str, str]:
    """Returns why a run is kept, by its id.

    A run that did not end can be resumed, until a later one that was asked for the same has ended.

    Args:
        runs: newest first.
        newest: how many of these are kept whatever became of them.
    """
    kept = {}
    ended: set[str] = set()
    for place, run in enumerate(runs):
        if place < newest:
            kept[run.run_id] = f"run {run.run_id}, of the newest {newest}"
        elif run.can_resume and run.asked not in ended:
            kept[run.run_id] = f"run {run.run_id}, which can be resumed"
        if run.is_finished:
            ended.add(run.asked)
    return kept


def _run(name: str, folder: Path | None, began: float | None) -> Run:
    if folder is None:
        return Run(name, None, began or 0.0, False, False, "")
    is_finished = json_object(folder / SUMMARY_FILE).get("status") in _FINISHED
    config, request = folder / CONFIG_FILE, folder / REQUEST_FILE
    text = config.read_text(encoding="utf-8") if config.is_file() else ""
    return Run(
        name,
        folder,
        (config if text else folder).stat().st_mtime if began is None else began,
        is_finished,
        not is_finished and config.is_file() and request.is_file(),
        f"{text}\0{json_object(request)}",
    )
