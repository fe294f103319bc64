"""A whole run with its data nodes on Flink comes to what the default engine comes to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

BEAM_NODES = ("ExampleGen", "StatisticsGen", "Transform", "Evaluator")


@pytest.fixture(scope="session")
def read():
    """The readers of what runs wrote; they import TensorFlow, which collecting tests need not."""
    from tests.flink import artifacts

    return artifacts


@pytest.fixture(scope="session")
def assert_same(read):
    """Compares all that the data decide."""

    def check(found, expected) -> None:
        assert found["rows"] == expected["rows"]
        assert read.schema(found) == read.schema(expected)
        vocabularies = read.vocabularies(expected)
        assert vocabularies and read.vocabularies(found) == vocabularies
        for node, key in (("ExampleGen", "examples"), ("Transform", "transformed_examples")):
            split_rows = read.rows(found, node, key)
            assert split_rows and all(split_rows.values())
            assert split_rows == read.rows(expected, node, key)
        statistics = read.statistics(expected)
        assert len(statistics) > 100
        assert read.differing(read.statistics(found), statistics, 1e-12) == []
        assert read.weights(found) == read.weights(expected)
        assert found["metrics"] == pytest.approx(expected["metrics"], rel=1e-6)

    return check


def test_run_when_its_data_nodes_are_on_flink_then_pushes_the_same_model(
    flink_run, local_run, cluster, assert_same
):
    assert flink_run["status"] == "pushed"
    jobs = cluster.jobs()
    assert [job["state"] for job in jobs] == ["FINISHED"] * len(BEAM_NODES)
    assert_same(flink_run, local_run)


def test_run_when_a_task_manager_is_killed_in_mid_transform_then_completes_with_the_same(
    flink_run, local_run, job, cluster, assert_same, wait_until, is_alive, tmp_path
):
    before = len(cluster.jobs())
    killed = cluster.pid("taskmanager-1")
    engine = ("beam.engine=flink", f"beam.cluster={cluster.file}")
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", *job.arguments(tmp_path, *engine)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    number = before + BEAM_NODES.index("Transform")

    def in_mid_transform() -> bool:
        assert process.poll() is None, "the run ended before"
        jobs = cluster.jobs()
        return len(jobs) > number and jobs[number]["tasks"]["finished"] > 10

    wait_until(in_mid_transform)
    assert cluster.jobs()[number]["state"] == "RUNNING"
    os.kill(killed, signal.SIGKILL)

    stdout, _ = process.communicate()
    assert process.returncode == 0, stdout
    assert not is_alive(killed)
    exceptions = cluster.get(f"jobs/{cluster.jobs()[number]['jid']}/exceptions")
    assert exceptions["exceptionHistory"]["entries"], "the job did not notice"
    # Another one took its place.
    wait_until(lambda: cluster.get("overview")["taskmanagers"] == 2)
    assert cluster.pid("taskmanager-1") != killed

    assert_same(json.loads(stdout.splitlines()[-1]), local_run)
