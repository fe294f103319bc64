"""`tapeline runs`: which are listed, and what one of them tells."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pipeline.commands.runs import runs
from pipeline.config_file import ConfigError
from pipeline.events import events_of_node, events_of_run
from pipeline.report import FAILED, NOT_BLESSED, PUSHED, Node, Summary
from pipeline.run_folder import find_run
from trainer_module.progress import emit

JANUARY_1ST = 1_767_225_600
DAY = 86_400


@pytest.fixture
def add_run(tmp_path: Path):
    """Makes a run that began some days into 2026, in UTC."""

    def add(pipeline: str, run_id: str, day: float, status: str | None, **fields) -> Path:
        folder = tmp_path / "runs" / pipeline / "runs" / run_id
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(f"name: {pipeline}\n")
        began = JANUARY_1ST + day * DAY
        os.utime(folder / "config.yaml", (began, began))
        if status is not None:
            Summary(status, run_id, str(folder), **fields).write()
        return folder

    return add


@pytest.fixture
def four(add_run) -> None:
    """Their ids do not sort as they began: schedulers have their own."""
    add_run("digits", "z", 0, PUSHED, metrics={"class/accuracy": 0.98}, seconds=64.7)
    add_run("digits", "y", 1, FAILED, error={"node": "Trainer", "cause": "no"})
    add_run("trips", "x", 2, NOT_BLESSED)
    add_run("digits", "w", 3, None)


@pytest.fixture
def half(tmp_path: Path) -> None:
    """The folder of a run that was killed while it was made."""
    (tmp_path / "runs" / "trips" / "runs" / "half").mkdir(parents=True)


@pytest.fixture
def show(tmp_path, monkeypatch, capsys):
    """Runs the command where `runs` is, and returns the lines that it prints."""
    monkeypatch.chdir(tmp_path)

    def call(run: str | None = None, **options) -> list[str]:
        runs(run, **options)
        return capsys.readouterr().out.splitlines()

    return call


@pytest.mark.parametrize(
    ("options", "listed"),
    [
        ({}, "zyxw"),
        ({"run": "runs"}, "zyxw"),
        ({"pipeline": "digits"}, "zyw"),
        ({"status": "failed"}, "y"),
        ({"status": "interrupted"}, "w"),
        ({"last": 1, "pipeline": "digits"}, "w"),
        ({"since": "2026-01-02T12:00:00+00:00"}, "xw"),
        ({"since": "1m"}, ""),
    ],
)
def test_runs_when_filtered_then_are_those_oldest_first(four, show, options, listed):
    assert [json.loads(line)["run_id"] for line in show(**options, as_json=True)] == [*listed]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"status": "fine"}, "--status: found fine; allowed: pushed, cached"),
        ({"since": "lately"}, "--since: found lately; .*30m, 12h, 7d, 2w"),
        ({"since": "9999-12-31T23:59:59-11:00"}, "--since: found 9999-12-31T23:59:59-11:00; "),
        ({"root": Path("nowhere")}, "--root: found nowhere, no folder"),
        ({"root": Path("runs/digits")}, "--root: found runs/digits, a folder without runs"),
        ({"run": "runs/digits"}, "RUN: found runs/digits, no run; allowed: a run's folder, or "),
        ({"run": "runs/trips/runs/half"}, "runs/half/config.yaml: .* the run ended before it had"),
    ],
)
def test_runs_when_a_filter_or_a_folder_is_none_then_is_refused(four, half, show, options, error):
    with pytest.raises(ConfigError, match=error):
        show(**options)


def test_runs_when_the_root_is_in_a_folder_named_runs_then_are_listed(add_run, show):
    add_run("digits", "a", 0, PUSHED)
    Path("runs").rename("all")
    Path("runs").mkdir()
    Path("all").rename("runs/all")
    assert json.loads(show("runs/all", as_json=True)[0])["run_id"] == "a"


def test_run_when_it_ended_well_then_shows_nodes_and_closing_lines(add_run, show):
    add_run(
        "digits", "z", 0, PUSHED,
        nodes=[Node("ExampleGen", "cached", 0.1), Node("Trainer", "done", 19.5)],
        rows={"train": 7, "test": 3}, metrics={"class/accuracy": 0.98},
        blessing={"blessed": True, "reason": "0.98 >= 0.96"}, servable="/srv/digits/7",
    )  # fmt: skip
    lines = show("z")
    assert lines[0] == "digits  run z  pushed  began 2026-01-01T00:00:00Z"
    assert "Trainer            done      19.5 s" in lines
    assert "read       10 rows: 7 train, 3 test" in lines
    assert "decided    blessed: 0.98 >= 0.96" in lines
    assert "pushed     /srv/digits/7" in lines


def test_run_when_it_failed_then_shows_the_cause_and_the_command_to_go_on(add_run, show):
    error = {"node": "Trainer", "cause": "ValueError: no"}
    folder = add_run("digits", "y", 1, FAILED, error=error, nodes=[Node("Trainer", FAILED, 2.0)])
    for run in ("y", str(folder)):
        lines = show(run)
        assert "Trainer            failed     2.0 s" in lines
        assert "failed     Trainer: ValueError: no" in lines
        assert lines[-1].startswith("go on")
        assert lines[-1].endswith(f" resume {folder}")


def test_run_when_killed_then_its_events_tell_how_far_it_came(add_run, show):
    folder = add_run("digits", "w", 3, None)
    with events_of_run(folder, "digits"):
        emit("node_begin", node="ExampleGen")
        emit("node_end", node="ExampleGen", seconds=1.5, state="done")
        emit("node_begin", node="Trainer")
    (line,) = show("w", as_json=True)
    found = json.loads(line)
    assert found["nodes"] == [{"name": "ExampleGen", "state": "done", "seconds": 1.5}]
    assert (found["status"], found["error"]) == ("interrupted", None)
    assert any("killed, or still going" in line for line in show("w"))


def test_run_when_resumed_and_killed_again_then_tells_of_the_last_attempt_alone(add_run, show):
    folder = add_run("digits", "w", 3, None)
    with events_of_run(folder, "digits"):
        emit("node_end", node="ExampleGen", seconds=1.5, state="done")
        emit("node_failed", node="Trainer", seconds=1.0, cause="ValueError: old")
    with events_of_run(folder, "digits"):
        emit("node_end", node="ExampleGen", seconds=0.0, state="earlier")
        emit("node_begin", node="Trainer")
    found = json.loads(show("w", as_json=True)[0])
    assert found["nodes"] == [{"name": "ExampleGen", "state": "earlier", "seconds": 0.0}]
    assert (found["status"], found["error"]) == ("interrupted", None)


def test_run_when_a_scheduler_tries_a_node_again_then_the_attempt_before_is_forgotten(
    add_run, show
):
    folder = add_run("digits", "w", 3, None)
    failed = [("node_failed", {"seconds": 1.0, "cause": "ValueError: old"})]
    for node, ends in {"ExampleGen": [("node_end", {"seconds": 1.5})], "Trainer": failed}.items():
        with events_of_node(folder, "digits"):
            emit("node_begin", node=node)
            for kind, fields in ends:
                emit(kind, node=node, **fields)
    assert json.loads(show("w", as_json=True)[0])["error"]["cause"] == "ValueError: old"
    with events_of_node(folder, "digits"):
        emit("node_begin", node="Trainer")
    found = json.loads(show("w", as_json=True)[0])
    assert [node["name"] for node in found["nodes"]] == ["ExampleGen"]
    assert found["error"] is None


def test_run_when_its_summary_is_lost_then_its_events_tell_what_failed(add_run, show):
    folder = add_run("digits", "w", 3, FAILED)
    (folder / "summary.json").write_text("")
    with events_of_run(folder, "digits"):
        emit("node_failed", node="Trainer", seconds=1.0, cause="disk full")
    assert "interrupted Trainer: disk full" in show("w")


def test_find_run_when_none_is_named_then_is_the_last_to_begin(four, tmp_path):
    root = tmp_path / "runs"
    assert find_run(None, root).name == "w"
    assert find_run("x", root) == root / "trips" / "runs" / "x"
    with pytest.raises(ConfigError, match="found nothing, no run"):
        find_run(None, tmp_path / "empty")
