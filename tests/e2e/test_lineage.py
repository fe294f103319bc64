"""What made the version that a real run pushed, told by the command."""

from __future__ import annotations

import json
from pathlib import Path


def test_lineage_of_a_pushed_version_is_what_the_run_and_its_model_card_say(
    digits_run, workdir, tapeline
):
    servable = Path(digits_run.summary["servable"])
    done = tapeline("lineage", str(servable), "--json", cwd=Path("/"))
    assert done.code == 0, done
    found = json.loads(done.stdout)
    card = json.loads((servable / "assets.extra" / "model_card.json").read_text())

    assert (found["version"], found["digest"]) == (servable.name, card["digest"])
    run_id = digits_run.summary["run_id"]
    for step in ("pushed", "decision", "training", "transform", "schema", "gate", "data"):
        assert found[step]["run_id"] == run_id, step
    assert found["decision"]["metrics"] == digits_run.summary["metrics"]
    assert {one["check"] for one in found["decision"]["thresholds"]} == {
        *digits_run.summary["blessing"]["reason"].split("; ")
    }
    assert found["training"]["code"] == card["code"]
    assert found["training"]["task"] == card["task"]
    assert found["training"]["train"]["epochs"] == 30
    assert found["schema"]["sha256"] == card["schema_sha256"]
    assert found["data"]["rows"] == digits_run.summary["rows"]
    (source,) = found["data"]["sources"]
    assert (source["kind"], source["name"]) == ("dataset", "digits")
    assert source["version"].startswith("scikit-learn ")
    assert {"tfx", "tensorflow", "tf-keras"} <= found["libraries"].keys()
    assert found["gone"] == []
    assert {one["node"] for one in found["executions"]} == {
        "ExampleGen", "StatisticsGen", "SchemaGen", "Transform", "Trainer", "Evaluator", "Pusher",
    }  # fmt: skip


def test_lineage_by_configuration_is_the_same_as_lines(digits_run, workdir, tapeline):
    number = Path(digits_run.summary["servable"]).name
    lines = tapeline("lineage", "configs/digits.yaml", number, cwd=workdir).stdout.splitlines()
    assert lines[0].startswith(f"digits version {number}")
    accuracy = digits_run.summary["metrics"]["class/accuracy"]
    assert f"    class/accuracy {accuracy:.4f}" in lines
    assert any(line.startswith("  data       sklearn digits, run ") for line in lines)


def test_repeat_of_a_run_is_explained_as_cached(digits_run, digits_again, workdir, tapeline):
    run_id = digits_again.summary["run_id"]
    done = tapeline("explain-cache", run_id, "--json", cwd=workdir)
    answers = {one["node"]: one for one in map(json.loads, done.stdout.splitlines())}
    cached = {node for node, answer in answers.items() if answer["state"] == "cached"}
    assert cached == {
        node["name"] for node in digits_again.summary["nodes"] if node["name"] != "Pusher"
    }
    assert {answers[node]["against"] for node in cached} == {digits_run.summary["run_id"]}


def test_events_of_a_run_tell_what_its_summary_does(digits_run, workdir, tapeline):
    summary = digits_run.summary
    done = tapeline("events", summary["run_id"], cwd=workdir)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert (events[0]["kind"], events[-1]["kind"]) == ("run_begin", "run_end")
    assert (events[-1]["status"], events[-1]["exit"]) == ("pushed", 0)
    ended = {event["node"]: event["state"] for event in events if event["kind"] == "node_end"}
    assert {node["name"]: node["state"] for node in summary["nodes"]}.items() <= ended.items()
    by_kind = {event["kind"]: event for event in events}
    assert by_kind["evaluated"]["metrics"] == summary["metrics"]
    assert by_kind["decision"]["blessed"] is True
    assert by_kind["pushed"]["servable"] == summary["servable"]
    assert by_kind["trained"]["node"] == "Trainer"
