"""Digits, by a real Airflow: pushed, the same as a local run's, and not pushed if not blessed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.traces import lineage, open_store

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(7200)]

_SMALL = ("train.epochs=2", "train.batch_size=64", "beam.running_mode=in_memory")
_LENIENT = "evaluate.metrics=[{name: accuracy, head: class, at_least: 0.2}]"
_STRICT = "evaluate.metrics=[{name: accuracy, head: class, at_least: 0.9999}]"


def _sets(*overrides: str) -> list[str]:
    return [word for text in overrides for word in ("--set", text)]


@pytest.fixture(scope="module")
def airflow(make_airflow):
    return make_airflow()


@pytest.fixture(scope="module")
def workdir(tmp_path_factory, repository) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    (folder / "configs").symlink_to(repository / "configs")
    return folder


@pytest.fixture(scope="module")
def compile_digits(airflow, workdir, tapeline):
    def compile_(*overrides: str) -> None:
        done = tapeline(
            "compile", "configs/digits.yaml", "--target", "airflow",
            "-o", str(airflow.dags / "digits"), *_sets(*_SMALL, *overrides), cwd=workdir,
        )  # fmt: skip
        assert done.code == 0, done

    return compile_


@pytest.fixture(scope="module")
def scheduled(airflow, compile_digits):
    """The output of a whole run, and its id to Tapeline."""
    compile_digits(_LENIENT)
    output = airflow("dags", "test", "digits", "2026-11-28")
    return output, re.findall(r"--run-id (\S+)", output)[0]


@pytest.fixture(scope="module")
def local(workdir, tapeline):
    """The same configuration by the local runner, into a root of its own."""
    overrides = _sets(*_SMALL, _LENIENT, "root=local")
    return tapeline("run", "configs/digits.yaml", "--json", *overrides, cwd=workdir)


def _variables(version: Path) -> dict[str, bytes]:
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(version / "variables" / "variables"))
    return {
        name: reader.get_tensor(name).tobytes()
        for name in reader.get_variable_to_shape_map()
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH"
    }


def test_digits_when_airflow_runs_it_then_every_node_succeeds_and_a_version_is_pushed(
    airflow, scheduled, workdir
):
    output, run_id = scheduled
    assert airflow.import_errors() == []
    (run,) = airflow.runs("digits")
    assert airflow.runs("digits")[run] == "success"
    assert {task.state for task in airflow.tasks("digits", run).values()} == {"success"}
    assert {"Trainer", "Pusher", "finish"} <= airflow.tasks("digits", run).keys()
    summary = json.loads((workdir / "runs/digits/runs" / run_id / "summary.json").read_text())
    assert summary["status"] == "pushed"
    assert Path(summary["servable"]).is_dir()
    assert "decided    blessed" in output


def test_digits_when_airflow_runs_it_then_weights_and_metadata_are_a_local_runs(
    scheduled, local, workdir
):
    assert local.code == 0, local
    _, run_id = scheduled
    summary = json.loads((workdir / "runs/digits/runs" / run_id / "summary.json").read_text())
    found, expected = (_variables(Path(s["servable"])) for s in (summary, local.summary))
    assert len(found) > 4
    assert found == expected

    assert summary["metrics"] == local.summary["metrics"]
    by_airflow = lineage(open_store(workdir / "runs/digits"), run_id)
    by_hand = lineage(open_store(workdir / "local/digits"), local.summary["run_id"])
    assert "Trainer" in [execution["node"] for execution in by_airflow]
    assert by_airflow == by_hand


def test_digits_when_the_model_is_not_blessed_then_pusher_is_skipped_and_the_run_succeeds(
    airflow, scheduled, compile_digits, workdir
):
    versions = sorted((workdir / "runs/digits/serving/digits").iterdir())
    compile_digits(_STRICT)
    output = airflow("dags", "test", "digits", "2026-11-29")
    run = list(airflow.runs("digits"))[-1]
    tasks = airflow.tasks("digits", run)
    assert tasks["Pusher"].state == "skipped"
    assert {tasks[name].state for name in tasks.keys() - {"Pusher"}} == {"success"}
    assert airflow.runs("digits")[run] == "success"
    assert "not blessed: the model that is served stays as it is" in output
    assert sorted((workdir / "runs/digits/serving/digits").iterdir()) == versions
