"""What node_exporter's textfile collector reads of the last run, parsed as Prometheus does."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.config_file import Source, load_config
from pipeline.monitor.prometheus import monitor_problems, write_run
from pipeline.report import ANOMALIES, FAILED, NOT_BLESSED, PUSHED, Node, Summary

PUSHED_RUN = Summary(
    PUSHED,
    "run-1",
    "/runs/run-1",
    servable="/srv/digits/1795250438",
    metrics={"class/accuracy": 0.98},
    blessing={"blessed": True, "reason": "", "baseline": None},
    rows={"train": 70, "test": 30},
    quarantined={"rows": 2, "folder": "", "first": []},
    nodes=[Node("ExampleGen", "cached", 0.1), Node("Trainer", "done", 19.5)],
    seconds=64.7,
)
FAILED_RUN = Summary(
    FAILED,
    "run-2",
    "/runs/run-2",
    nodes=[Node("ExampleGen", "failed", 1.0)],
    error={"node": "ExampleGen", "cause": "no"},
    seconds=3.0,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tapeline.prom"


def figures(path: Path, **labels: str) -> dict[tuple[str, ...], float]:
    """Every figure of a pipeline by its name and its other labels' values."""
    wanted = {"pipeline": "digits", **labels}
    found = {}
    for family in text_string_to_metric_families(path.read_text()):
        for sample in family.samples:
            if wanted.items() <= sample.labels.items():
                others = [sample.labels[k] for k in sorted(sample.labels) if k != "pipeline"]
                found[(sample.name.removeprefix("tapeline_"), *others)] = sample.value
    return found


def test_file_when_a_run_pushed_then_has_its_figures(path):
    write_run(path, "digits", PUSHED_RUN, now=1000.5)
    assert (
        figures(path).items()
        >= {
            ("run_info", "run-1"): 1,
            ("run_status", "pushed"): 1,
            ("run_status", "failed"): 0,
            ("run_end_timestamp_seconds",): 1000.5,
            ("run_last_success_timestamp_seconds",): 1000.5,
            ("run_duration_seconds",): 64.7,
            ("node_duration_seconds", "Trainer"): 19.5,
            ("node_state", "ExampleGen", "cached"): 1,
            ("rows", "train"): 70,
            ("rows_put_aside",): 2,
            ("metric", "class/accuracy"): 0.98,
            ("blessed",): 1,
            ("pushed_version",): 1795250438,
        }.items()
    )
    assert [path] == list(path.parent.iterdir()), "nothing beside it"


def test_file_when_a_run_failed_then_keeps_the_last_success_and_what_is_served(path):
    write_run(path, "digits", PUSHED_RUN, now=1000.0)
    write_run(path, "digits", FAILED_RUN, now=2000.0)
    found = figures(path)
    assert found["run_last_success_timestamp_seconds",] == 1000.0
    assert found["run_end_timestamp_seconds",] == 2000.0
    assert found["pushed_version",] == 1795250438
    assert (found["run_status", "failed"], found["run_status", "pushed"]) == (1, 0)
    assert ("metric", "class/accuracy") not in found
    write_run(path, "digits", PUSHED_RUN, now=3000.0)
    assert figures(path)["run_last_success_timestamp_seconds",] == 3000.0


def test_file_when_a_model_was_refused_then_it_was_no_success(path):
    refused = {"blessed": False, "reason": "", "baseline": None}
    write_run(path, "digits", Summary(NOT_BLESSED, "1", "/runs/1", blessing=refused))
    found = figures(path)
    assert found["blessed",] == 0
    assert ("run_last_success_timestamp_seconds",) not in found


def test_file_when_data_were_stopped_then_counts_the_anomalies_by_level(path):
    verdict = {"findings": [{"level": "stop"}, {"level": "warn"}, {"level": "warn"}]}
    write_run(path, "digits", Summary(ANOMALIES, "1", "/runs/1", anomalies=verdict))
    found = figures(path)
    assert (found["anomalies", "stop"], found["anomalies", "warn"]) == (1, 2)


def test_file_when_pipelines_share_it_then_each_leaves_the_others_figures(path):
    write_run(path, "digits", PUSHED_RUN, now=1000.0)
    before = figures(path)
    write_run(path, "trips", FAILED_RUN, now=2000.0)
    assert figures(path) == before
    assert figures(path, pipeline="trips")["run_status", "failed"] == 1
    text = path.read_text()
    assert text.count("# HELP tapeline_run_status ") == 1, "Prometheus refuses a second one"


def test_file_when_another_release_left_other_labels_then_they_are_left_out(path):
    path.write_text('tapeline_rows{pipeline="trips",part="train"} 5\n')
    write_run(path, "digits", PUSHED_RUN)
    assert figures(path, pipeline="trips") == {}
    assert figures(path)["rows", "train"] == 70


def test_file_when_it_was_no_such_file_before_then_is_written_anew(path):
    path.write_text('tapeline_metric{pipeline="digi')
    write_run(path, "digits", PUSHED_RUN)
    assert figures(path)["blessed",] == 1


@pytest.mark.parametrize(
    ("folder", "found"),
    [("no/such", "no/such, no folder"), ("/proc", "/proc, which cannot be written")],
)
def test_place_when_it_cannot_be_written_then_is_a_problem_before_the_run(
    write_config, tmp_path, monkeypatch, folder, found
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.access", lambda place, _mode: str(place) != "/proc")  # root may all
    changed = {"monitor": {"prometheus": f"{folder}/t.prom"}}
    config = load_config(str(write_config(changed)))
    (problem,) = monitor_problems(config, Source("run.yaml"))
    assert problem.key == "monitor.prometheus"
    assert problem.found.endswith(found)


def test_place_when_there_is_none_or_it_can_be_written_then_is_no_problem(write_config, tmp_path):
    for monitor in ({}, {"prometheus": str(tmp_path / "t.prom")}):
        config = load_config(str(write_config({"monitor": monitor})))
        assert not monitor_problems(config, Source("run.yaml"))
