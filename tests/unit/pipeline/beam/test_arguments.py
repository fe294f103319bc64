"""The options that an engine becomes, read by Beam's own parsers and by TFX."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from pipeline.beam.arguments import (
    ENVIRONMENT,
    JOB_ENDPOINT,
    JOB_NAME,
    RUNNING_MODE,
    WHEEL,
    WORKERS,
    beam_pipeline_args,
)
from pipeline.beam.config import BeamConfig

DATAFLOW = {
    "engine": "dataflow",
    "project": "p",
    "region": "europe-west1",
    "temp_location": "gs://bucket/tmp",
}
FLINK = {
    "engine": "flink",
    "job_endpoint": "jobs:8099",
    "flink_master": "flink:8081",
    "environment": "localhost:50000",
}


def _arguments(section: dict) -> list:
    return beam_pipeline_args(TypeAdapter(BeamConfig).validate_python(section))


def _options(arguments: list[str]) -> dict:
    """Returns what Beam takes the options for; refuses any that no part of Beam knows."""
    from apache_beam.options.pipeline_options import PipelineOptions

    class Unknown(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise AssertionError(record.getMessage())

    handler = Unknown(logging.WARNING)
    logging.getLogger("apache_beam.options.pipeline_options").addHandler(handler)
    try:
        return PipelineOptions(arguments).get_all_options()
    finally:
        logging.getLogger("apache_beam.options.pipeline_options").removeHandler(handler)


def test_direct_when_in_memory_then_has_no_options():
    assert _arguments({"engine": "direct", "running_mode": "in_memory"}) == []


def test_direct_when_the_size_of_the_data_decides_then_the_run_says_how(monkeypatch):
    from tfx.dsl.compiler.placeholder_utils import (
        ResolutionContext,
        resolve_placeholder_expression,
    )
    from tfx.orchestration.portable.data_types import ExecutionInfo

    arguments = _arguments({"engine": "direct"})
    context = ResolutionContext(exec_info=ExecutionInfo())
    monkeypatch.setenv(RUNNING_MODE, "multi_processing")
    monkeypatch.setenv(WORKERS, "5")
    texts = [
        text if isinstance(text, str) else resolve_placeholder_expression(text.encode(), context)
        for text in arguments
    ]
    options = _options(texts)
    assert options["direct_running_mode"] == "multi_processing"
    assert options["direct_num_workers"] == 5


def test_direct_when_several_processes_are_asked_for_then_has_them():
    section = {"engine": "direct", "running_mode": "multi_processing", "workers": 3}
    options = _options(_arguments(section))
    assert options["direct_running_mode"] == "multi_processing"
    assert options["direct_num_workers"] == 3


def test_flink_when_all_addresses_are_given_then_sends_jobs_there():
    *texts, _ = _arguments({**FLINK, "parallelism": 4})
    options = _options(texts)
    assert options["runner"] == "PortableRunner"
    assert options["job_endpoint"] == "jobs:8099"
    assert options["environment_type"] == "EXTERNAL"
    assert options["environment_config"] == "localhost:50000"
    assert options["parallelism"] == 4
    assert options["environment_cache_millis"] == "30000"


@pytest.mark.parametrize(
    "section",
    [FLINK, {"engine": "spark", "job_endpoint": "jobs:8099"}, {"engine": "portable"}],
)
def test_portable_kinds_when_a_job_is_long_then_do_not_end_it(section):
    texts = [argument for argument in _arguments(section) if isinstance(argument, str)]
    assert _options(texts)["job_server_timeout"] == 86400


@pytest.mark.parametrize(
    ("section", "variables"),
    [
        ({"engine": "portable"}, [JOB_ENDPOINT, ENVIRONMENT]),
        ({"engine": "flink"}, [JOB_ENDPOINT, ENVIRONMENT, JOB_NAME]),
        (DATAFLOW, [WHEEL]),
        ({"engine": "direct", "running_mode": "multi_processing"}, [WORKERS]),
    ],
)
def test_options_when_they_are_known_only_later_then_are_variables(section, variables):
    """By their names alone, which TFX's cache may look at."""
    from tfx.dsl.placeholder.placeholder import Placeholder

    held = [argument for argument in _arguments(section) if isinstance(argument, Placeholder)]
    texts = [str(placeholder.encode()) for placeholder in held]
    assert len(texts) == len(variables)
    assert all(name in text for name, text in zip(variables, texts, strict=True))


@pytest.mark.parametrize(
    "section",
    [
        {"engine": "direct", "running_mode": "multi_processing"},
        {"engine": "portable"},
        FLINK,
        {"engine": "spark", "job_endpoint": "jobs:8099"},
        {**DATAFLOW, "image": "registry/image:1"},
        DATAFLOW,
    ],
)
def test_no_engine_makes_tfx_pack_its_own_source(section):
    """Which takes it seconds for every node, and which the workers have installed."""
    from tfx.utils.dependency_utils import make_beam_dependency_flags

    texts = [argument for argument in _arguments(section) if isinstance(argument, str)]
    assert make_beam_dependency_flags(texts) == texts


def test_dataflow_when_every_option_is_set_then_beams_parsers_take_each():
    arguments = _arguments(
        {
            **DATAFLOW,
            "staging_location": "gs://bucket/staging",
            "image": "europe-docker.pkg.dev/p/tapeline/worker:1",
            "machine_type": "n2-standard-4",
            "disk_size_gb": 50,
            "max_workers": 8,
            "service_account": "runner@p.iam.gserviceaccount.com",
            "subnetwork": "regions/europe-west1/subnetworks/default",
            "public_ips": False,
            "packages": ["own-1.0-py3-none-any.whl"],
        }
    )
    options = _options(arguments)
    expected = {
        "runner": "DataflowRunner",
        "project": "p",
        "region": "europe-west1",
        "temp_location": "gs://bucket/tmp",
        "staging_location": "gs://bucket/staging",
        "sdk_container_image": "europe-docker.pkg.dev/p/tapeline/worker:1",
        "machine_type": "n2-standard-4",
        "disk_size_gb": 50,
        "max_num_workers": 8,
        "service_account_email": "runner@p.iam.gserviceaccount.com",
        "subnetwork": "regions/europe-west1/subnetworks/default",
        "use_public_ips": False,
        "extra_packages": ["own-1.0-py3-none-any.whl"],
    }
    assert {name: options[name] for name in expected} == expected


def test_dataflow_when_there_is_no_image_then_sends_wheel_and_lock_and_downloads_nothing(tmp_path):
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.portability.stager import Stager

    (tmp_path / "staged").mkdir()
    wheel = tmp_path / "tapeline-0.1.0-py3-none-any.whl"
    wheel.write_bytes(b"")
    texts = [argument for argument in _arguments(DATAFLOW) if isinstance(argument, str)]
    options = PipelineOptions([*texts, f"--extra_package={wheel}"])

    resources = Stager.create_job_resources(
        options, str(tmp_path / "staged"), log_submission_env_dependencies=False
    )

    sent = {name: path for path, name, _ in Stager.extract_staging_tuple_iter(resources)}
    assert sent.keys() == {"requirements.txt", "extra_packages.txt", wheel.name}
    assert "apache-beam==" in Path(sent["requirements.txt"]).read_text()
