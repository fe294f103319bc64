"""Summaries of runs, and the list that they make."""

from __future__ import annotations

import json
import math
import os
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from pipeline.report import (
    CACHED,
    FAILED,
    NOT_BLESSED,
    PUSHED,
    Node,
    Summary,
    past_runs,
    read_summary,
    run_detail,
)


@pytest.fixture
def add_run(tmp_path: Path):
    """Makes the folder of a run under the root, with a summary if it got so far.

    It began as many seconds into 1970 as the first digits of its id say.
    """

    def add(pipeline: str, run_id: str, status: str | None = None, **fields) -> Summary | None:
        folder = tmp_path / pipeline / "runs" / run_id
        folder.mkdir(parents=True)
        (folder / "config.yaml").touch()
        os.utime(folder / "config.yaml", (int(run_id[:8]), int(run_id[:8])))
        if status is None:
            return None
        summary = Summary(status=status, run_id=run_id, run_dir=str(folder), **fields)
        summary.write()
        return summary

    return add


def test_summary_when_it_cannot_be_written_then_leaves_no_part(tmp_path) -> None:
    (tmp_path / "summary.json").mkdir()
    with pytest.raises(IsADirectoryError):
        Summary(FAILED, "1", str(tmp_path)).write()
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]


def test_summary_when_written_then_is_on_the_disk_before_it_has_its_name(
    tmp_path, monkeypatch
) -> None:
    done = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (done.append("fsync"), fsync(file)))
    monkeypatch.setattr(os, "replace", lambda *names: (done.append("replace"), replace(*names)))
    Summary(FAILED, "1", str(tmp_path)).write()
    assert done[:2] == ["fsync", "replace"]


def test_summary_when_written_then_reads_back_and_leaves_no_part(add_run, tmp_path) -> None:
    summary = add_run(
        "digits", "1", FAILED,
        nodes=[Node("Trainer", "failed", 1.5)],
        error={"node": "Trainer", "cause": "ValueError: no"},
    )  # fmt: skip

    folder = Path(summary.run_dir)
    assert {path.name for path in folder.iterdir()} == {"config.yaml", "summary.json"}
    text = (folder / "summary.json").read_text()
    assert json.loads(text) == asdict(summary) == json.loads(summary.to_json())
    assert text.count("\n") == 1, "one line of JSON"


def test_summary_when_a_figure_is_not_finite_then_is_null_in_json(add_run) -> None:
    summary = add_run("digits", "1", PUSHED, slices={"digit:1": {"auc": math.nan}}, seconds=1.0)

    assert "NaN" not in summary.to_json()
    assert json.loads(summary.to_json())["slices"] == {"digit:1": {"auc": None}}


def test_past_runs_when_of_several_pipelines_then_the_oldest_comes_first(add_run, tmp_path) -> None:
    add_run("digits", "20240103-000000-000000", PUSHED)
    add_run("breast_cancer", "20240102-000000-000000", NOT_BLESSED)
    add_run("digits", "20240101-235959-999999", CACHED)

    assert [(run["pipeline"], run["status"]) for run in past_runs(tmp_path)] == [
        ("digits", CACHED),
        ("breast_cancer", NOT_BLESSED),
        ("digits", PUSHED),
    ]


def test_past_runs_when_a_run_pushed_then_gives_its_figures_and_servable(add_run, tmp_path) -> None:
    summary = add_run(
        "digits", "1", PUSHED, seconds=42.5, metrics={"class/accuracy": 0.98}, servable="/srv/1"
    )

    assert past_runs(tmp_path) == [
        {
            "pipeline": "digits",
            "run_id": "1",
            "began": "1970-01-01T00:00:01Z",
            "status": PUSHED,
            "seconds": 42.5,
            "metrics": {"class/accuracy": 0.98},
            "servable": "/srv/1",
            "acceptance": None,
            "run_dir": summary.run_dir,
        }
    ]


def test_past_runs_when_a_run_was_killed_then_it_is_interrupted(add_run, tmp_path) -> None:
    add_run("digits", "1")
    killed_while_writing = tmp_path / "digits" / "runs" / "2"
    killed_while_writing.mkdir()
    (killed_while_writing / ".summary.json.partial").write_text('{"status": "pus')

    runs = past_runs(tmp_path)

    assert [run["status"] for run in runs] == ["interrupted", "interrupted"]
    assert (runs[0]["seconds"], runs[0]["metrics"], runs[0]["servable"]) == (None, {}, None)


@pytest.mark.parametrize("left", [b"", b"\0" * 40, b'{"status": "pu', b"\xff", b"[]"])
def test_past_runs_when_a_summary_was_lost_with_the_power_then_the_others_are_told(
    add_run, tmp_path, left
) -> None:
    lost = add_run("digits", "1", PUSHED)
    add_run("digits", "2", CACHED)
    path = Path(lost.run_dir, "summary.json")
    path.write_bytes(left)

    assert [run["status"] for run in past_runs(tmp_path)] == ["interrupted", CACHED]
    assert read_summary(path.parent) is None
    assert run_detail(path.parent)["status"] == "interrupted"
    lost.write()
    assert read_summary(path.parent) == lost


def test_past_runs_when_one_is_removed_meanwhile_then_the_others_are_told(
    add_run, tmp_path, monkeypatch
) -> None:
    add_run("digits", "1", PUSHED)
    gone = Path(add_run("digits", "2", PUSHED).run_dir)
    is_dir = Path.is_dir

    def see_and_remove(path: Path) -> bool:
        found = is_dir(path)
        if path == gone:
            shutil.rmtree(gone)
        return found

    monkeypatch.setattr(Path, "is_dir", see_and_remove)
    assert [run["run_id"] for run in past_runs(tmp_path)] == ["1"]


def test_past_runs_when_there_are_none_then_is_empty(tmp_path) -> None:
    assert past_runs(tmp_path) == []
    (tmp_path / "digits" / "artifacts").mkdir(parents=True)
    assert past_runs(tmp_path) == []


def test_past_runs_when_a_stray_file_lies_among_them_then_passes_it_over(tmp_path) -> None:
    (tmp_path / "digits" / "runs").mkdir(parents=True)
    (tmp_path / "digits" / "runs" / ".DS_Store").write_text("")
    assert past_runs(tmp_path) == []
