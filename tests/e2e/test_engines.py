"""The whole pipeline on Beam's portable engine, whose workers are other processes."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def run(tapeline, workdir, tmp_path_factory):
    """Runs digits on an engine, in a folder of its own; on the worker that has the shared run."""

    def run_on(*overrides: str, root: Path | None = None, call=tapeline):
        root = root or tmp_path_factory.mktemp("engine")
        sets = [part for item in (*overrides, f"root={root}") for part in ("--set", item)]
        config = str(workdir / "configs" / "digits.yaml")
        return call("run", config, "--json", *sets, cwd=root.parent)

    return run_on


@pytest.fixture(scope="module")
def portable_run(run, cold_tapeline):
    return run("beam.engine=portable", call=cold_tapeline)


def test_portable_engine_when_digits_runs_then_every_node_does(portable_run):
    assert portable_run.code == 0, portable_run
    assert portable_run.summary["status"] == "pushed"
    states = {node["name"]: node["state"] for node in portable_run.summary["nodes"]}
    assert (
        states.items()
        >= dict.fromkeys(
            ("ExampleGen", "StatisticsGen", "Transform", "Trainer", "Evaluator", "Pusher"), "done"
        ).items()
    )


def test_portable_engine_when_it_has_run_then_has_pushed_the_bits_of_the_default_engine(
    portable_run, digits_run, serving_weights, assert_same_bits
):
    assert digits_run.code == 0, digits_run
    runs = (portable_run.summary, digits_run.summary)
    assert_same_bits(*(serving_weights(summary["servable"]) for summary in runs))
    assert runs[0]["metrics"] == pytest.approx(runs[1]["metrics"], rel=1e-6)
    assert runs[0]["rows"] == runs[1]["rows"]


def test_portable_engine_when_the_run_is_started_again_then_takes_its_nodes_from_the_cache(
    portable_run, run
):
    """Though the ports are others."""
    root = Path(portable_run.summary["run_dir"]).parents[2]
    again = run("beam.engine=portable", root=root)
    assert again.code == 0, again
    states = {node["name"]: node["state"] for node in again.summary["nodes"]}
    assert {states[name] for name in ("ExampleGen", "StatisticsGen", "Transform")} == {"cached"}


def test_engine_when_nobody_listens_then_the_run_ends_before_it_begins(run, tmp_path):
    done = run("beam={engine: spark, job_endpoint: 'localhost:1'}", root=tmp_path / "runs")
    assert done.code == 2
    assert "beam.job_endpoint: found nobody listens at localhost:1" in done.stderr
    assert not (tmp_path / "runs").exists()
