"""Engines that cannot be reached: found before any work, and named with their key."""

from __future__ import annotations

import os
import time

import pytest
from pydantic import TypeAdapter

from pipeline.beam import checks
from pipeline.beam.checks import engine_problems
from pipeline.beam.config import BeamConfig
from pipeline.beam.flink.cluster_file import Cluster, Process, start_time
from pipeline.config_file import Source


def problems(**section) -> list[str]:
    beam = TypeAdapter(BeamConfig).validate_python(section)
    return [str(problem) for problem in engine_problems(beam, Source("run.yaml"))]


@pytest.mark.parametrize("engine", ["direct", "portable"])
def test_engines_of_the_run_itself_have_nothing_to_reach(engine):
    assert problems(engine=engine) == []


@pytest.mark.parametrize("engine", ["portable", "spark"])
def test_job_endpoint_when_nobody_listens_then_is_named(engine, silent, listening):
    environment = "localhost:50000"
    assert problems(engine=engine, job_endpoint=listening(), environment=environment) == []
    assert problems(engine=engine, job_endpoint=silent, environment=environment) == [
        f"run.yaml: beam.job_endpoint: found nobody listens at {silent}; "
        "allowed: the address of Beam's job server, as it is seen from here"
    ]


def test_flink_when_all_is_well_then_passes(job_manager, listening):
    addresses = {"flink_master": job_manager(), "job_endpoint": listening()}
    assert problems(engine="flink", environment="localhost:50000", **addresses) == []


def test_flink_when_there_is_no_task_manager_then_says_so_at_once(job_manager, listening):
    master = job_manager(task_managers=0, slots=0)
    began = time.monotonic()
    (problem,) = problems(
        engine="flink", flink_master=master, job_endpoint=listening(), environment="pool:50000"
    )
    assert time.monotonic() - began < 60
    assert problem == (
        f"run.yaml: beam.flink_master: found a JobManager at {master} without a TaskManager; "
        "allowed: one or more: start them, or wait until they have joined; "
        f"http://{master} shows them"
    )


def test_flink_when_it_has_fewer_slots_than_a_job_takes_then_names_the_parallelism(
    job_manager, listening
):
    (problem,) = problems(
        engine="flink",
        flink_master=job_manager(task_managers=2, slots=4),
        job_endpoint=listening(),
        environment="pool:50000",
        parallelism=5,
    )
    assert problem == (
        "run.yaml: beam.parallelism: found 5; allowed: at most the 4 slots of the 2 TaskManagers"
    )


def test_flink_when_no_job_manager_answers_then_names_the_address(
    job_manager, listening, silent, monkeypatch
):
    """Nobody, somebody who says nothing, and others than a JobManager."""
    monkeypatch.setattr(checks, "_TIMEOUT", 0.5)
    for master in (silent, listening(), job_manager(answer=b"[]"), job_manager(answer=b"hello")):
        (problem,) = problems(
            engine="flink", flink_master=master, job_endpoint=listening(), environment="pool:50000"
        )
        assert problem.startswith("run.yaml: beam.flink_master: found no JobManager")
        assert master in problem


def test_flink_when_only_the_job_server_is_gone_then_names_that(job_manager, silent):
    (problem,) = problems(
        engine="flink", flink_master=job_manager(), job_endpoint=silent, environment="pool:50000"
    )
    assert problem.startswith(f"run.yaml: beam.job_endpoint: found nobody listens at {silent}; ")


@pytest.fixture
def cluster_file(tmp_path, job_manager, listening):
    """Writes the file of a cluster whose launcher is this process."""

    def write(**changes):
        launcher = Process("launcher", os.getpid(), start_time(os.getpid()))
        addresses = {
            "flink_master": job_manager(),
            "job_endpoint": listening(),
            "environment": listening(),
        }
        values = {**addresses, "processes": (launcher,), **changes}
        Cluster(**values).write(tmp_path / "cluster.json")
        return str(tmp_path / "cluster.json")

    return write


def test_flink_when_a_local_cluster_runs_then_is_found_by_its_file(cluster_file):
    assert problems(engine="flink", cluster=cluster_file()) == []


def test_flink_when_there_is_no_cluster_then_says_how_to_start_one(tmp_path):
    (problem,) = problems(engine="flink", cluster=str(tmp_path / "cluster.json"))
    assert problem.startswith(
        f"run.yaml: beam.cluster: found no file {tmp_path}/cluster.json; allowed: "
    )
    assert "`make flink` starts one" in problem


def test_flink_when_the_launcher_has_ended_then_says_so(cluster_file):
    gone = Process("launcher", os.getpid(), start_time(os.getpid()) - 1)
    (problem,) = problems(engine="flink", cluster=cluster_file(processes=(gone,)))
    assert f"whose launcher (pid {os.getpid()}) has ended" in problem


def test_flink_when_parts_of_a_local_cluster_are_gone_then_names_them(cluster_file, silent):
    path = cluster_file(job_endpoint=silent, environment=silent)
    (problem,) = problems(engine="flink", cluster=path)
    assert problem.startswith(
        f"run.yaml: beam.cluster: found nobody listens as the job server of {path} ({silent}) "
        f"and as the worker pool of {path} ({silent}); allowed: "
    )


def test_dataflow_when_what_it_sends_is_not_there_then_is_named(tmp_path, monkeypatch):
    section = {
        "engine": "dataflow",
        "project": "p",
        "region": "r",
        "temp_location": "gs://bucket/tmp",
    }
    assert problems(**section) == []
    wheel = str(tmp_path / "own-1.0-py3-none-any.whl")
    monkeypatch.setattr(checks, "LOCK", tmp_path / "lock.txt")
    assert problems(**section, packages=[wheel]) == [
        f"run.yaml: beam.packages.0: found {wheel}, no file; allowed: a .whl file",
        f"run.yaml: beam.image: found null, and no lock at {tmp_path}/lock.txt for the workers to "
        "install; allowed: an image, or a run from a clone",
    ]
