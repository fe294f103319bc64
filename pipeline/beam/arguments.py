"""Turns the `beam` section into the options that every Beam component of a pipeline is given.

What is known only where and while a run goes on, such as a port or the number of cores, stands in
them as an environment variable: TFX's cache looks at the options, and nodes would run again for
every other port.
"""

from __future__ import annotations

from typing import Any

from pipeline.beam.config import (
    BeamConfig,
    DataflowConfig,
    DirectConfig,
    FlinkConfig,
    PortableConfig,
    SparkConfig,
)
from pipeline.beam.running_mode import IN_MEMORY

JOB_ENDPOINT = "TAPELINE_BEAM_JOB_ENDPOINT"
ENVIRONMENT = "TAPELINE_BEAM_ENVIRONMENT"
JOB_NAME = "TAPELINE_BEAM_JOB_NAME"
WHEEL = "TAPELINE_BEAM_WHEEL"
RUNNING_MODE = "TAPELINE_BEAM_RUNNING_MODE"
WORKERS = "TAPELINE_BEAM_WORKERS"

_JOB_TIMEOUT = 86400
"""Seconds. Beam's default of 60 ends every longer job with DEADLINE_EXCEEDED."""

_WORKER_IDLE_MS = 30_000
"""How long a worker is kept for the next stage of its job. Beam's default ends it at once, and a
worker takes seconds to start; one of a finished job holds its memory so long."""

# Without an image, a setup file or a package of ours, TFX packs its own source and sends it along.
_SEND_NOTHING = "--sdk_container_image=unused"


def beam_pipeline_args(beam: BeamConfig) -> list[Any]:
    """Returns the options: texts, and TFX placeholders of `running_engine`'s variables."""
    if isinstance(beam, DirectConfig):
        return _direct(beam)
    if isinstance(beam, DataflowConfig):
        return _dataflow(beam)
    return _portable(beam)


def _direct(beam: DirectConfig) -> list[Any]:
    if beam.running_mode == IN_MEMORY:
        return []
    # The size of the data decides, which nobody knows before the run.
    mode = None if beam.running_mode == "auto" else beam.running_mode
    # Nor how many cores the machine has that a node will run on.
    workers = None if mode is None or beam.workers is None else str(beam.workers)
    return [
        "--runner=DirectRunner",
        _option("direct_running_mode", mode, RUNNING_MODE),
        _option("direct_num_workers", workers, WORKERS),
        _SEND_NOTHING,
    ]


def _portable(beam: PortableConfig | FlinkConfig | SparkConfig) -> list[Any]:
    options = [
        "--runner=PortableRunner",
        _option("job_endpoint", beam.job_endpoint, JOB_ENDPOINT),
        "--environment_type=EXTERNAL",
        _option("environment_config", beam.environment, ENVIRONMENT),
        f"--job_server_timeout={_JOB_TIMEOUT}",
        _SEND_NOTHING,
    ]
    if beam.engine == "portable":
        return options
    options += [f"--environment_cache_millis={_WORKER_IDLE_MS}"]
    if beam.engine == "spark":
        return options
    return [*options, f"--parallelism={beam.parallelism}", _option("job_name", None, JOB_NAME)]


def _dataflow(beam: DataflowConfig) -> list[Any]:
    values = {
        "project": beam.project,
        "region": beam.region,
        "temp_location": beam.temp_location,
        "staging_location": beam.staging_location or beam.temp_location,
        "worker_machine_type": beam.machine_type,
        "disk_size_gb": beam.disk_size_gb,
        "max_num_workers": beam.max_workers,
        "service_account_email": beam.service_account,
        "subnetwork": beam.subnetwork,
    }
    options: list[Any] = ["--runner=DataflowRunner"]
    options += [f"--{name}={value}" for name, value in values.items() if value is not None]
    options += [] if beam.public_ips else ["--no_use_public_ips"]
    options += [f"--extra_package={path}" for path in beam.packages]
    if beam.image is not None:
        return [*options, f"--sdk_container_image={beam.image}"]
    from pipeline.doctor import LOCK

    return [
        *options,
        _option("extra_package", None, WHEEL),
        f"--requirements_file={LOCK}",
        # The workers install the locked packages; else each is downloaded here and uploaded.
        "--requirements_cache=skip",
    ]


def _option(name: str, value: str | None, variable: str) -> Any:
    if value is not None:
        return f"--{name}={value}"
    from tfx.dsl.placeholder.placeholder import environment_variable

    return f"--{name}=" + environment_variable(variable)
