"""The events of a run: whole lines whoever writes them, and read whatever a killed write left."""

from __future__ import annotations

import json
import os
import re
import threading
from pathlib import Path

import pytest

from pipeline.events import (
    EVENTS_FILE,
    EventLog,
    emit_outcome,
    events_of_node,
    events_of_run,
    follow_events,
    read_events,
)
from pipeline.report import ANOMALIES, PUSHED, Summary
from trainer_module.progress import emit

LONG = "x" * 5000
"""Longer than a page, as the cause of a failure may be."""


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "digits" / "runs" / "run-1"
    folder.mkdir(parents=True)
    return folder


def kinds(run_dir: Path) -> list[str]:
    return [event["kind"] for event in read_events(run_dir)]


def test_event_when_emitted_then_is_a_line_with_time_run_and_node(run_dir):
    with events_of_run(run_dir, "digits"):
        emit("node_begin", node="Trainer")
        emit("trained", steps=600)
        emit("node_end", node="Trainer", seconds=1.23456, state="done")
    begin, _, trained, end = read_events(run_dir)
    assert begin.items() >= {"kind": "run_begin", "pipeline": "digits", "resumed": False}.items()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", begin["time"])
    assert trained.items() >= {"run_id": "run-1", "node": "Trainer", "steps": 600}.items()
    assert end.items() >= {"node": "Trainer", "seconds": 1.235, "state": "done"}.items()
    emit("warning", text="after the end")
    assert len(read_events(run_dir)) == 4


def test_event_when_for_eyes_or_not_finite_then_is_left_out_or_null(run_dir):
    with EventLog(run_dir):
        emit("train_step", step=1)
        emit("epoch_end", eval={"loss": float("nan")})
        emit("node_failed", node="AnomalyGate", seconds=1.0, cause="no", verdict={"findings": []})
    epoch, failed = read_events(run_dir)
    assert epoch["eval"] == {"loss": None}
    assert failed["cause"] == "no"
    assert "verdict" not in failed


def test_run_when_it_goes_on_under_its_id_then_the_events_do_too(run_dir):
    for _ in range(2):
        with events_of_run(run_dir, "digits"):
            emit("warning", text="")
    first, _, second, _ = read_events(run_dir)
    assert (first["resumed"], second["resumed"]) == (False, True)


def test_nodes_when_each_a_process_then_the_first_begins_the_run(run_dir):
    for node in ("ExampleGen", "Trainer"):
        with events_of_node(run_dir, "digits"):
            emit("node_begin", node=node)
    assert kinds(run_dir) == ["run_begin", "node_begin", "node_begin"]


def test_run_when_interrupted_then_its_end_says_so(run_dir):
    with pytest.raises(KeyboardInterrupt), events_of_run(run_dir, "digits"):
        raise KeyboardInterrupt
    end = read_events(run_dir)[-1]
    assert end.items() >= {"kind": "run_end", "status": "interrupted", "exit": 130}.items()
    assert 0 <= end["seconds"] < 60


def test_lines_when_processes_append_at_the_same_time_then_all_are_whole(run_dir):
    children = []
    for writer in range(4):
        child = os.fork()
        if child == 0:
            with EventLog(run_dir):
                for number in range(100):
                    emit("warning", writer=writer, number=number, text=LONG)
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    found = {(event["writer"], event["number"]) for event in read_events(run_dir)}
    assert found == {(writer, number) for writer in range(4) for number in range(100)}


def test_line_when_torn_then_is_skipped_and_takes_none_with_it(run_dir):
    with EventLog(run_dir):
        emit("warning", text="whole")
    with (run_dir / EVENTS_FILE).open("a") as file:
        file.write('{"kind": "torn", "te')
    assert kinds(run_dir) == ["warning"]
    with EventLog(run_dir):
        emit("trained", steps=1)
    assert kinds(run_dir) == ["warning", "trained"]


def test_log_when_the_disk_is_full_then_the_run_goes_on(run_dir, caplog):
    (run_dir / EVENTS_FILE).symlink_to("/dev/full")
    with EventLog(run_dir):
        emit("warning", text="first")
        emit("warning", text="second")
    told = [record for record in caplog.records if record.name == "pipeline.events"]
    assert len(told) == 1
    assert "No space left" in told[0].getMessage()


def test_outcome_when_pushed_then_tells_figures_decision_and_version(run_dir):
    summary = Summary(
        PUSHED,
        "run-1",
        str(run_dir),
        servable="/srv/digits/17",
        metrics={"class/accuracy": 0.98},
        blessing={"blessed": True, "reason": "0.98 >= 0.96", "baseline": None},
        rows={"train": 7},
        seconds=3.0,
    )
    with EventLog(run_dir):
        emit_outcome(summary, 0)
    found = {event["kind"]: event for event in read_events(run_dir)}
    assert [*found] == ["read", "evaluated", "decision", "pushed", "run_end"]
    assert found["evaluated"]["metrics"] == {"class/accuracy": 0.98}
    assert found["decision"].items() >= {"blessed": True, "reason": "0.98 >= 0.96"}.items()
    assert found["pushed"]["version"] == "17"
    assert found["run_end"].items() >= {"status": PUSHED, "exit": 0}.items()


def test_outcome_when_failed_then_the_end_has_the_cause(run_dir):
    verdict = {"findings": [{"level": "stop"}, {"level": "warn"}, {"level": "warn"}]}
    error = {"node": "AnomalyGate", "cause": "anomalies"}
    summary = Summary(ANOMALIES, "run-1", str(run_dir), anomalies=verdict, error=error)
    with EventLog(run_dir):
        emit_outcome(summary, 3)
    anomalies, end = read_events(run_dir)
    assert (anomalies["stop"], anomalies["warn"]) == (1, 2)
    assert end.items() >= {"exit": 3, "error": error}.items()


def test_follow_when_events_come_later_then_gives_them_until_the_run_ends(run_dir):
    found: list[str] = []
    seen = threading.Event()

    def read() -> None:
        for event in follow_events(run_dir, look_seconds=0.01):
            found.append(event["kind"])
            seen.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    with EventLog(run_dir):
        emit("run_begin")
        assert seen.wait(60)
        with (run_dir / EVENTS_FILE).open("a") as file:
            file.write('{"kind": "half')
            file.flush()
            file.write('_a_line"}\n')
        emit_outcome(Summary(PUSHED, "run-1", str(run_dir)), 0)
    reader.join(60)
    assert not reader.is_alive()
    assert found == ["run_begin", "half_a_line", "run_end"]


def test_events_when_printed_then_are_the_lines_of_the_last_run(run_dir, tapeline, tmp_path):
    (run_dir / "config.yaml").touch()
    with events_of_run(run_dir, "digits"):
        emit_outcome(Summary(PUSHED, "run-1", str(run_dir)), 0)
    for options in ([], ["--follow"]):
        done = tapeline("events", "--root", ".", *options, cwd=tmp_path)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert lines == read_events(run_dir), done
