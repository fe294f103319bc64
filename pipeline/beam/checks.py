"""Whether the engine of a run can be reached, found out in seconds and before any work.

Beam itself waits for an endpoint that nobody listens at, and Flink five minutes for a TaskManager
that is not there.
"""

from __future__ import annotations

import socket
from pathlib import Path

from pipeline.beam.config import BeamConfig, DataflowConfig, DirectConfig, FlinkConfig
from pipeline.config_file import Problem, Source
from pipeline.doctor import LOCK

_TIMEOUT = 5.0


def engine_problems(beam: BeamConfig, source: Source) -> list[Problem]:
    """Returns what keeps the engine from taking jobs; nothing if it would take one now."""
    if isinstance(beam, DirectConfig):
        return []
    if isinstance(beam, DataflowConfig):
        return _dataflow_problems(beam, source)
    if isinstance(beam, FlinkConfig):
        return _flink_problems(beam, source)
    if beam.job_endpoint is None:
        return []
    return _job_endpoint_problems(beam.job_endpoint, source)


def _job_endpoint_problems(address: str, source: Source) -> list[Problem]:
    if listens(address):
        return []
    allowed = "the address of Beam's job server, as it is seen from here"
    return [source.problem("beam.job_endpoint", f"nobody listens at {address}", allowed)]


def _flink_problems(beam: FlinkConfig, source: Source) -> list[Problem]:
    from pipeline.beam.flink.cluster_file import NoCluster, read_cluster
    from pipeline.beam.flink.rest import NoAnswer, overview

    if beam.flink_master is None or beam.job_endpoint is None:
        allowed = (
            "the file of a cluster that runs: `make flink` starts one; or beam.job_endpoint, "
            "beam.flink_master and beam.environment of another"
        )
        try:
            cluster = read_cluster(Path(beam.cluster))
        except NoCluster as error:
            return [source.problem("beam.cluster", str(error), allowed)]
        master, job_endpoint = cluster.flink_master, cluster.job_endpoint
        silent = [
            f"{what} of {beam.cluster} ({address})"
            for what, address in (
                ("job server", job_endpoint),
                ("worker pool", cluster.environment),
            )
            if not listens(address)
        ]
        if silent:
            found = f"nobody listens as the {' and as the '.join(silent)}"
            return [source.problem("beam.cluster", found, allowed)]
        key = "beam.cluster"
    else:
        master, job_endpoint, key = beam.flink_master, beam.job_endpoint, "beam.flink_master"
        problems = _job_endpoint_problems(job_endpoint, source)
        if problems:
            return problems
    try:
        state = overview(master, _TIMEOUT)
    except NoAnswer as error:
        return [source.problem(key, str(error), "the address of a JobManager's REST interface")]
    if state.task_managers == 0:
        found = f"a JobManager at {master} without a TaskManager"
        allowed = (
            f"one or more: start them, or wait until they have joined; http://{master} shows them"
        )
        return [source.problem(key, found, allowed)]
    if state.slots < beam.parallelism:
        allowed = f"at most the {state.slots} slots of the {state.task_managers} TaskManagers"
        return [source.problem("beam.parallelism", str(beam.parallelism), allowed)]
    return []


def _dataflow_problems(beam: DataflowConfig, source: Source) -> list[Problem]:
    problems = [
        source.problem(f"beam.packages.{index}", f"{path}, no file", "a .whl file")
        for index, path in enumerate(beam.packages)
        if not Path(path).is_file()
    ]
    if beam.image is None and not LOCK.is_file():
        found = f"null, and no lock at {LOCK} for the workers to install"
        problems.append(source.problem("beam.image", found, "an image, or a run from a clone"))
    return problems


def listens(address: str) -> bool:
    """Returns whether anybody takes a connection at `host:port`."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), _TIMEOUT).close()
    except (OSError, OverflowError):
        return False
    return True
