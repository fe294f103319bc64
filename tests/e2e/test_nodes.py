"""A run whose nodes are processes of their own, held to the same run in one process."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.run_lock import hold_root
from tests.small_run import CONFIG
from tests.traces import lineage, open_store, strangers


def _folder(tmp_path_factory, name: str) -> Path:
    folder = tmp_path_factory.mktemp(name)
    (folder / "small.yaml").write_text(CONFIG)
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory, tapeline):
    """The run in one process."""
    done = tapeline("run", "small.yaml", "--json", cwd=_folder(tmp_path_factory, "whole"))
    assert done.code == 0, done
    return done.summary


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tapeline):
    """The same, compiled."""
    folder = _folder(tmp_path_factory, "nodes")
    done = tapeline("compile", "small.yaml", "-o", "compiled", cwd=folder)
    assert done.code == 0, done
    return folder


@pytest.fixture(scope="module")
def node(folder, tapeline):
    def run(name: str, run_id: str, *arguments: str):
        return tapeline("node", "compiled", name, "--run-id", run_id, *arguments, cwd=folder)

    return run


@pytest.fixture(scope="module")
def graph(folder):
    return json.loads((folder / "compiled" / "graph.json").read_text())


@pytest.fixture(scope="module")
def nodes_run(graph, node):
    """Every node in its turn; the Trainer is killed once and tried again."""
    ends = {}
    for name in [found["id"] for found in graph["nodes"]]:
        if name == "Trainer":
            _kill_in_training(Path(graph["working_directory"]), "night-1")
        ends[name] = node(name, "night-1")
    return ends


def _kill_in_training(folder: Path, run_id: str) -> None:
    command = ["node", "compiled", "Trainer", "--run-id", run_id]
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", *command],
        cwd=folder, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert any("epoch 2/6" in line for line in process.stdout)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def test_compile_when_done_again_then_gives_the_same_bytes(folder, cold_tapeline, contents):
    """Under another seed of Python's hashes."""
    done = cold_tapeline("compile", "small.yaml", "-o", "again", cwd=folder)
    assert done.code == 0, done
    assert contents(folder / "again") == contents(folder / "compiled")


def test_graph_names_each_node_after_those_that_it_waits_for(graph):
    seen: set[str] = set()
    for found in graph["nodes"]:
        assert set(found["upstream"]) <= seen
        seen.add(found["id"])
    flags = {found["id"]: (found["lookup"], found["conditional"]) for found in graph["nodes"]}
    assert flags["Baseline"] == flags["AcceptedData"] == (True, False)
    assert flags["Pusher"] == (False, True)
    assert flags["Trainer"] == (False, False)
    assert graph["parameters"] == {"span": "configured"}


def test_nodes_when_all_have_run_then_the_pushed_weights_are_those_of_one_process(
    nodes_run, whole, folder, tapeline, serving_weights, assert_same_bits
):
    assert {name: done.code for name, done in nodes_run.items()} == dict.fromkeys(nodes_run, 0)
    assert "resumed from the checkpoint at step" in nodes_run["Trainer"].stdout
    finished = tapeline("finish", "compiled", "--run-id", "night-1", "--json", cwd=folder)
    assert finished.code == 0, finished
    summary = finished.summary
    assert summary["status"] == "pushed"
    assert summary["metrics"] == whole["metrics"]
    assert summary["rows"] == whole["rows"]
    names = [found["name"] for found in summary["nodes"]]
    assert names == [found["name"] for found in whole["nodes"]]
    assert_same_bits(serving_weights(summary["servable"]), serving_weights(whole["servable"]))
    listed = tapeline("runs", cwd=folder).stdout.splitlines()
    assert [line.split()[1:3] for line in listed] == [["night-1", "pushed"]]


def test_nodes_when_all_have_run_then_the_lineage_is_that_of_one_process(nodes_run, whole, folder):
    found = lineage(open_store(folder / "runs" / "digits"), "night-1")
    root = Path(whole["run_dir"]).parent.parent
    assert found == lineage(open_store(root), whole["run_id"])


def test_killed_node_when_tried_again_then_leaves_nothing_half_done(nodes_run, folder):
    root = folder / "runs" / "digits"
    assert strangers(open_store(root), root) == []
    assert not list((root / "artifacts").glob("*/.system"))


def test_node_when_the_run_has_finished_it_then_is_not_run_again(nodes_run, node, folder):
    before = _newest(folder / "runs" / "digits" / "artifacts")
    done = node("Transform", "night-1")
    assert done.code == 0, done
    assert done.stdout.split()[:2] == ["Transform", "earlier"]
    account = folder / "runs" / "digits" / "runs" / "night-1" / "nodes" / "Transform.json"
    assert json.loads(account.read_text())["state"] == "done"
    assert _newest(folder / "runs" / "digits" / "artifacts") == before


def _newest(folder: Path) -> int:
    return max(path.stat().st_mtime_ns for path in folder.rglob("*"))


def test_node_when_another_run_has_done_the_same_then_takes_it_from_the_cache(nodes_run, node):
    done = node("ExampleGen", "night-2")
    assert done.code == 0, done
    assert done.stdout.split()[:2] == ["ExampleGen", "cached"]


def test_node_when_what_comes_before_did_not_run_then_fails_and_names_it(nodes_run, node):
    done = node("SchemaGen", "night-3")
    assert done.code == 1, done
    assert "failed     SchemaGen: InputsMissing: StatisticsGen did not end well" in done.stdout
    assert "run.log" in done.stdout


def test_node_when_tried_again_after_its_inputs_came_then_the_books_name_them(
    nodes_run, node, folder
):
    assert node("StatisticsGen", "night-9").code == 1
    for name in ("ExampleGen", "StatisticsGen"):
        assert node(name, "night-9").code == 0
    store = open_store(folder / "runs" / "digits")
    tries = [one for one in lineage(store, "night-9") if one["node"] == "StatisticsGen"]
    assert [one["state"] for one in tries] == ["FAILED", "CACHED"]
    assert [(*event[:3],) for event in tries[1]["events"] if event[0] == "INPUT"] == [
        ("INPUT", ("examples",), "ExampleGen")
    ]


def test_node_when_another_run_is_going_on_then_a_scheduler_may_try_again(nodes_run, node, folder):
    with hold_root(folder / "runs" / "digits", "by-hand"):
        done = node("ExampleGen", "night-10")
    assert done.code == 1, done
    assert "where run by-hand is going on" in done.stderr


def test_node_when_no_such_node_or_parameter_then_says_which_there_are(node, folder):
    done = node("Trainr", "night-4", "--parameter", "spam=1")
    assert done.code == 2, done
    assert "NODE: found Trainr; allowed: ExampleGen, StatisticsGen" in done.stderr
    assert "--parameter: found spam; allowed: span" in done.stderr
    assert not (folder / "runs" / "digits" / "runs" / "night-4").exists()


def test_node_when_a_span_is_wanted_of_data_without_any_then_is_refused(node):
    done = node("ExampleGen", "night-5", "--parameter", "span=3")
    assert done.code == 2, done
    assert "--parameter span: found digits: span 3 wanted; allowed: none: the data" in done.stderr


def test_node_when_the_code_is_not_what_was_compiled_then_asks_to_compile_again(node, folder):
    ir = folder / "compiled" / "ir.json"
    text = ir.read_text()
    try:
        ir.write_text(text.replace('\\"code\\":', '\\"code\\": \\"other\\", \\"was\\":'))
        assert ir.read_text() != text
        done = node("ExampleGen", "night-6")
    finally:
        ir.write_text(text)
    assert done.code == 2, done
    assert "run `tapeline compile` again" in done.stderr


def test_finish_when_a_node_failed_then_the_run_failed_with_its_cause(node, folder, tapeline):
    assert node("Trainer", "night-7").code == 1
    done = tapeline("finish", "compiled", "--run-id", "night-7", "--json", cwd=folder)
    assert done.code == 1, done
    assert done.summary["status"] == "failed"
    assert done.summary["error"]["node"] == "Trainer"
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("go on ")]
    program, *words = shlex.split(line.removeprefix("go on "))
    assert words == ["resume", done.summary["run_dir"]]
    called = subprocess.run([program, *words, "--help"], capture_output=True, check=False)
    assert called.returncode == 0, called


def test_condition_when_it_is_false_then_its_node_is_skipped_and_the_run_not_blessed(
    nodes_run, folder, tapeline
):
    threshold = "evaluate.metrics=[{name: accuracy, head: class, at_least: 1.0}]"
    done = tapeline("compile", "small.yaml", "-o", "strict", "--set", threshold, cwd=folder)
    assert done.code == 0, done
    codes = {}
    for name in [found["id"] for found in json.loads(
        (folder / "strict" / "graph.json").read_text())["nodes"]]:  # fmt: skip
        ended = tapeline("node", "strict", name, "--run-id", "strict-1", cwd=folder)
        codes[name] = ended.code
    assert codes == {**dict.fromkeys(codes, 0), "Pusher": 99}
    finished = tapeline("finish", "strict", "--run-id", "strict-1", "--json", cwd=folder)
    assert finished.code == 4, finished
    assert finished.summary["nodes"][-1]["state"] == "skipped"
    assert finished.summary["servable"] is None


def test_resume_when_nodes_of_a_scheduler_are_left_then_runs_them_in_one_process(
    nodes_run, node, folder, tapeline
):
    assert node("ExampleGen", "night-8").code == 0
    done = tapeline("resume", "night-8", "--json", cwd=folder)
    assert done.code == 0, done
    states = {found["name"]: found["state"] for found in done.summary["nodes"]}
    assert states["ExampleGen"] == "earlier"
    assert set(states.values()) == {"earlier", "cached"}
    assert done.summary["status"] == "cached"


def test_node_when_what_it_had_put_out_is_gone_then_runs_again_in_the_same_run(folder, tapeline):
    few = "data.limit=300"  # artifacts of its own, which no other test looks at
    assert tapeline("compile", "small.yaml", "-o", "few", "--set", few, cwd=folder).code == 0

    def run(name: str):
        return tapeline("node", "few", name, "--run-id", "few-1", cwd=folder)

    first = run("ExampleGen")
    assert first.code == 0, first
    store = open_store(folder / "runs" / "digits")
    context = store.get_context_by_type_and_name("pipeline_run", "few-1")
    (examples,) = store.get_artifacts_by_context(context.id)
    shutil.rmtree(examples.uri)

    again = run("ExampleGen")
    assert again.code == 0, again
    assert f"warning: {examples.uri}: it is gone; " in again.stdout
    assert [line.split()[:2] for line in again.stdout.splitlines()][-1] == ["ExampleGen", "done"]
    assert not Path(examples.uri).exists()
    after = run("StatisticsGen")
    assert after.code == 0, after
    assert run("ExampleGen").stdout.split()[:2] == ["ExampleGen", "earlier"]
