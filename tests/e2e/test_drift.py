"""Spans of a CSV that are not as those before stop at the gate, unless taken as they are."""

from __future__ import annotations

import csv
import hashlib
import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROWS = 600
CONFIG = """\
name: trips
root: runs
data:
  source: csv
  path: spans/{SPAN}/trips.csv
  label: tipped
  columns: {distance: float, hour: int, payment: text, tipped: int}
task:
  name: tabular
  options:
    problem: binary
    classes: [0, 1]
    hidden: [8]
    features:
      distance: {kind: numeric}
      hour: {kind: numeric}
      payment: {kind: categorical, top_k: 8}
train: {epochs: 2, batch_size: 32, steps_per_call: 50, optimizer: {learning_rate: 0.05}}
evaluate:
  metrics: [{name: auc, head: label, at_least: 0.6}]
serve: {batching: {max_batch_size: 8, allowed_batch_sizes: [1, 8]}}
"""

Row = dict[str, Any]


def trips(seed: int) -> list[Row]:
    """A span as the first one: other rows of the same distributions."""
    draw = random.Random(seed)
    rows = []
    for _ in range(ROWS):
        distance, payment = draw.gauss(10, 2), draw.choice(["card", "cash"])
        rows.append(
            {
                "distance": f"{distance:.3f}",
                "hour": draw.randrange(24),
                "payment": payment,
                "tipped": int(payment == "card" and draw.random() < 0.9 and distance > 8),
            }
        )
    return rows


def shifted(row: Row) -> Row:
    return {**row, "distance": float(row["distance"]) + 5}


def with_a_new_category(row: Row) -> Row:
    return {**row, "payment": "voucher" if row["hour"] == 7 else row["payment"]}


def without_a_column(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "hour"}


def with_another_type(row: Row) -> Row:
    return {**row, "distance": f"{row['distance']} km"}


class Change(NamedTuple):
    """How a span differs, and what the gate then says of it."""

    of: Callable[[Row], Row]
    feature: str
    rule: str
    expected: str
    found: str


CHANGES = {
    "shifted": Change(shifted, "distance", "drift", "jensen_shannon_divergence <= 0.1", "0."),
    "type changed": Change(with_another_type, "distance", "type_changed", "FLOAT", "STRING"),
    "column gone": Change(
        without_a_column, "hour", "column_missing", "a column of INT", "no such column"
    ),
    "new category": Change(
        with_a_new_category, "payment", "new_category", "one of card, cash", "voucher"
    ),
}


class Stop(NamedTuple):
    """A run of a drifted span, and what the serving directory held before and after."""

    done: Any
    before: Mapping[str, tuple[int, bytes]]
    after: Mapping[str, tuple[int, bytes]]


def listing(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Everything under a folder: when it changed, and the bytes of files."""
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(folder.rglob("*"))
    }


def write_span(folder: Path, number: int, change: Callable[[Row], Row]) -> None:
    path = folder / "spans" / str(number) / "trips.csv"
    path.parent.mkdir(parents=True)
    rows = [change(row) for row in trips(number)]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def executions(folder: Path, run_id: str) -> dict[str, Mapping[str, Any]]:
    """The custom properties of a run's executions in the metadata, by component."""
    from ml_metadata.metadata_store import metadata_store
    from tfx.orchestration import metadata

    path = folder / "runs" / "trips" / "metadata.sqlite"
    store = metadata_store.MetadataStore(metadata.sqlite_metadata_connection_config(str(path)))
    context = store.get_context_by_type_and_name("pipeline_run", run_id)
    return {
        execution.type.rpartition(".")[2]: execution.custom_properties
        for execution in store.get_executions_by_context(context.id)
    }


UNREADABLE = {
    "column gone": "task.options.features.hour: found no column of this name",
    "type changed": (
        "task.options.features.distance.kind: found 'numeric' for a column of texts; "
        "allowed: categorical, text or date"
    ),
}
"""What the task says of such a span once somebody accepts it."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drift")
    (folder / "trips.yaml").write_text(CONFIG)
    write_span(folder, 1, dict)
    return folder


@pytest.fixture(scope="module")
def first_run(folder: Path, tapeline):
    """The first span, from a CSV to a pushed model."""
    done = tapeline("run", "trips.yaml", "--json", cwd=folder)
    assert done.code == 0, done
    return done


@pytest.fixture(scope="module")
def stopped(first_run, folder: Path, tapeline) -> dict[str, Stop]:
    """Runs each drifted span while it is the latest; all of them before anybody accepts one."""
    serving = folder / "runs" / "trips" / "serving"

    def run(number: int, change: Change) -> Stop:
        write_span(folder, number, change.of)
        before = listing(serving)
        done = tapeline("run", "trips.yaml", "--json", cwd=folder)
        return Stop(done, before, listing(serving))

    return {
        name: run(number, change) for number, (name, change) in enumerate(CHANGES.items(), start=2)
    }


@pytest.mark.parametrize("name", CHANGES)
def test_run_when_a_span_has_drifted_then_exits_3_with_feature_rule_expected_and_found(
    stopped, name
):
    done, change = stopped[name].done, CHANGES[name]
    assert done.code == 3, done
    assert done.summary["status"] == "anomalies"
    findings = [
        found for found in done.summary["anomalies"]["findings"] if found["level"] == "stop"
    ]
    (finding,) = [found for found in findings if found["feature"] == change.feature]
    assert finding["rule"] == change.rule
    assert change.expected in finding["expected"]
    assert change.found in finding["found"]
    (line,) = [line for line in done.stderr.splitlines() if f" {change.feature} " in line]
    assert line.split()[:3] == ["stop", change.feature, change.rule]
    assert finding["expected"] in line
    assert finding["found"] in line
    assert " run trips.yaml --accept-anomalies 'WHY'" in done.stderr
    assert " schema freeze trips.yaml" in done.stderr
    kept = json.loads(Path(done.summary["run_dir"], "anomalies.json").read_text())
    assert kept == done.summary["anomalies"]


@pytest.mark.parametrize("name", CHANGES)
def test_run_when_stopped_then_trains_nothing_and_leaves_the_serving_directory_as_it_was(
    stopped, name, folder
):
    done, before, after = stopped[name]
    states = {node["name"]: node["state"] for node in done.summary["nodes"]}
    assert list(states.items())[-1] == ("AnomalyGate", "stopped")
    assert any(path.endswith("saved_model.pb") for path in before)
    assert after == before
    recorded = executions(folder, done.summary["run_id"])
    assert "StatisticsGen" in recorded
    assert not {"Transform", "Trainer", "Evaluator", "Pusher"} & recorded.keys()
    (verdict,) = [of["verdict"] for of in recorded.values() if "verdict" in of]
    assert json.loads(verdict.string_value) == done.summary["anomalies"]


def test_run_when_accepted_then_pushes_and_runs_shows_who_took_the_data_and_why(
    stopped, folder, tapeline
):
    assert list(stopped)[-1] == "new category"  # the last span: the one that is taken
    serving = folder / "runs" / "trips" / "serving"
    before = listing(serving)
    why = "vouchers are sold since Monday"
    done = tapeline("run", "trips.yaml", "--json", "--accept-anomalies", why, cwd=folder)
    assert done.code == 0, done
    summary = done.summary
    acceptance = summary["anomalies"]["acceptance"]
    assert (acceptance["why"], acceptance["run_id"]) == (why, summary["run_id"])
    states = {node["name"]: node["state"] for node in summary["nodes"]}
    assert states["StatisticsGen"] == "cached"
    assert states["AnomalyGate"] == states["Trainer"] == "done"
    assert "Trainer" in executions(folder, summary["run_id"])
    assert (summary["status"], Path(summary["servable"]).exists()) == ("pushed", True)
    assert listing(serving).keys() > before.keys()

    listed = tapeline("runs", cwd=folder).stdout.splitlines()
    (line,) = [line for line in listed if summary["run_id"] in line]
    assert line.endswith(f"anomalies accepted by {acceptance['by']}: {why}")
    assert sum(why in line for line in listed) == 1

    made = json.loads(tapeline("lineage", summary["servable"], "--json", cwd=folder).stdout)
    assert (made["gate"]["accepted_by"], made["gate"]["accepted_why"]) == (acceptance["by"], why)
    assert made["data"]["span"] == len(CHANGES) + 1
    assert made["gate"]["compared_with"]["span"] == 1
    (source,) = made["data"]["sources"]
    path = folder / "spans" / str(made["data"]["span"]) / "trips.csv"
    assert source["name"] == str(path)
    assert source["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()

    again = tapeline("check", "trips.yaml", "--json", cwd=folder)
    assert again.code == 0, again
    assert {node["state"] for node in again.summary["nodes"]} == {"cached"}
    assert again.summary["anomalies"]["acceptance"] == acceptance


@pytest.mark.parametrize("name", UNREADABLE)
def test_run_when_accepted_data_lack_what_the_task_reads_then_says_which_option(
    stopped, name, folder, tapeline
):
    done = tapeline(*accepting(name, "so be it"), cwd=folder)
    assert done.code == 1, done
    assert f"AnomalyGate: {UNREADABLE[name]}" in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("go on ")]
    assert line.endswith("--accept-anomalies 'so be it'")


def test_run_when_the_task_no_longer_reads_what_is_gone_then_warns_and_goes_on(
    stopped, folder, tapeline
):
    features = "task.options.features={distance: {kind: numeric}, payment: {kind: categorical}}"
    command = ["run", "trips.yaml", "--json", "--set", span("column gone"), "--set", features]
    done = tapeline(*command, cwd=folder)
    assert done.code == 0, done
    states = {node["name"]: node["state"] for node in done.summary["nodes"]}
    assert states["Trainer"] == "done"
    levels = {f["feature"]: f["level"] for f in done.summary["anomalies"]["findings"]}
    assert levels["hour"] == "warn"


def span(name: str) -> str:
    """Returns what takes a drifted span by its number."""
    return f"data.span={list(CHANGES).index(name) + 2}"


def accepting(name: str, why: str) -> list[str]:
    """Returns a command that accepts a drifted span."""
    return ["run", "trips.yaml", "--json", "--set", span(name), "--accept-anomalies", why]
