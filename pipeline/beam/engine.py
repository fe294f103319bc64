"""Keeps alive what the Beam components of a run need while the run goes on.

    with running_engine(config.beam, config.data):
        ...  # run the nodes

Every runner that launches nodes in its own process puts this around them.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from components.example_gen.config import DataConfig
from components.example_gen.sources import make_source
from pipeline.beam.arguments import (
    ENVIRONMENT,
    JOB_ENDPOINT,
    JOB_NAME,
    RUNNING_MODE,
    WHEEL,
    WORKERS,
)
from pipeline.beam.child import child_process
from pipeline.beam.config import (
    BeamConfig,
    DataflowConfig,
    DirectConfig,
    FlinkConfig,
    PortableConfig,
)
from pipeline.beam.dead_workers import failing_with_dead_workers
from pipeline.beam.processes import wait_for_port, worker_environment
from pipeline.beam.running_mode import (
    IN_MEMORY,
    MULTI_PROCESSING,
    files_bytes,
    running_mode,
    usable_cores,
)

_START = 120.0
"""Seconds. A process imports Beam in three on an idle machine."""


@contextlib.contextmanager
def running_engine(beam: BeamConfig, data: DataConfig) -> Iterator[None]:
    """Starts what the engine lacks, and tells the options of `beam_pipeline_args` where it is.

    Args:
        data: whose size may decide how the direct engine works.

    Raises:
        EngineFailed: if a process does not start.
    """
    with contextlib.ExitStack() as stack:
        if isinstance(beam, DirectConfig):
            stack.enter_context(failing_with_dead_workers())
            # Its worker processes are started by Beam, with this process' environment.
            variables = {**worker_environment(), **_direct(beam, data)}
        elif isinstance(beam, PortableConfig) and beam.job_endpoint is None:
            variables = stack.enter_context(_local_portable())
        elif isinstance(beam, FlinkConfig):
            variables = stack.enter_context(_watched_flink(beam))
        elif isinstance(beam, DataflowConfig) and beam.image is None:
            from pipeline.beam.wheel import build_wheel

            folder = stack.enter_context(tempfile.TemporaryDirectory())
            variables = {WHEEL: str(build_wheel(Path(folder)))}
        else:
            variables = {}
        stack.enter_context(_environment(variables))
        yield


def _direct(beam: DirectConfig, data: DataConfig) -> dict[str, str]:
    """Chooses what goes by the data and by the cores of this machine."""
    if beam.running_mode == IN_MEMORY:
        return {}
    cores = usable_cores()
    if beam.running_mode == MULTI_PROCESSING:
        return {WORKERS: str(beam.workers or cores)}
    size = make_source(data).size() or files_bytes(getattr(data, "path", None))
    mode = running_mode(beam, size, cores)
    workers = 1 if mode == IN_MEMORY else beam.workers or cores
    return {RUNNING_MODE: mode, WORKERS: str(workers)}


@contextlib.contextmanager
def _local_portable() -> Iterator[dict[str, str]]:
    """Starts Beam's Python job service and a worker pool, on free ports of loopback."""
    environment = worker_environment()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tapeline-beam-")))
        service_file, pool_file = folder / "job_service.port", folder / "worker_pool.port"
        job_service = stack.enter_context(
            child_process(
                [
                    *(
                        sys.executable,
                        "-m",
                        "pipeline.beam.job_service",
                    ),
                    *("--port=0", f"--port_file={service_file}"),
                    f"--staging_dir={folder / 'staging'}",
                ],
                environment,
            )
        )
        pool = stack.enter_context(
            child_process(
                [
                    *(sys.executable, "-m", "pipeline.beam.worker_pool"),
                    *("--port=0", f"--port-file={pool_file}"),
                ],
                environment,
            )
        )
        service_port = wait_for_port("Beam's job service", service_file, job_service, _START)
        pool_port = wait_for_port("the worker pool", pool_file, pool, _START)
        yield {
            JOB_ENDPOINT: f"localhost:{service_port}",
            ENVIRONMENT: f"127.0.0.1:{pool_port}",
        }


@contextlib.contextmanager
def _watched_flink(beam: FlinkConfig) -> Iterator[dict[str, str]]:
    """Watches the jobs that get the name it yields."""
    from pipeline.beam.flink.cluster_file import read_cluster
    from pipeline.beam.flink.watch import watched_jobs

    # No other run's jobs are touched on a cluster that is shared.
    variables = {JOB_NAME: f"tapeline-{uuid.uuid4().hex}"}
    master = beam.flink_master
    if master is None:
        cluster = read_cluster(Path(beam.cluster))
        master = cluster.flink_master
        variables |= {JOB_ENDPOINT: cluster.job_endpoint, ENVIRONMENT: cluster.environment}
    with watched_jobs(master, variables[JOB_NAME]):
        yield variables


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Sets environment variables, and puts back what they were."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
