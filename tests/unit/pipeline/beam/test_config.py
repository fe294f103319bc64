"""The `beam` section: one kind of options for each engine, and what does not fit together."""

from __future__ import annotations

import pytest

from pipeline.config_file import ConfigError, dump_config, load_config

DATAFLOW = (
    "beam={engine: dataflow, project: p, region: europe-west1, temp_location: 'gs://bucket/tmp'}"
)


@pytest.fixture
def refusals(write_config):
    """Returns the problems of the ready configuration with overrides, without where they are."""

    def load(*overrides: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load_config(str(write_config()), overrides)
        return [
            str(problem).removeprefix(f"{problem.source}: ") for problem in caught.value.problems
        ]

    return load


def test_engine_when_nothing_is_said_then_is_direct_by_the_size_of_the_data(write_config):
    beam = load_config(str(write_config())).beam
    assert (beam.engine, beam.running_mode, beam.workers) == ("direct", "auto", None)


@pytest.mark.parametrize(
    "overrides",
    [
        ["beam.running_mode=multi_processing", "beam.workers=3"],
        ["beam.engine=portable"],
        ["beam={engine: portable, job_endpoint: 'jobs:8099', environment: 'localhost:50000'}"],
        ["beam.engine=flink", "beam.parallelism=8"],
        ["beam.engine=spark", "beam.job_endpoint='spark:8099'"],
        [DATAFLOW, "beam.packages=[own-1.0-py3-none-any.whl]"],
    ],
)
def test_engine_when_its_options_fit_then_is_written_and_read_again(
    overrides, write_config, tmp_path
):
    config = load_config(str(write_config()), overrides)
    (tmp_path / "resolved.yaml").write_text(dump_config(config))
    assert load_config(str(tmp_path / "resolved.yaml")) == config


def test_engine_when_unknown_then_names_the_known(refusals):
    (problem,) = refusals("beam.engine=ray")
    assert problem.startswith("beam.engine: found 'ray'; allowed: ")
    for name in ("direct", "portable", "flink", "spark", "dataflow"):
        assert name in problem


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (
            ["beam.engine=portable", "beam.parallelism=2"],
            "beam.parallelism: found a key that does not exist; "
            "allowed: known keys: environment, engine, job_endpoint",
        ),
        (
            ["beam.running_mode=in_memory", "beam.workers=2"],
            "beam.workers: found 2; allowed: null with in_memory, which is one process",
        ),
        (
            ["beam.engine=portable", "beam.job_endpoint='jobs:8099'"],
            "beam.environment: found None with job_endpoint jobs:8099; "
            "allowed: both addresses, or both null for processes of the run's own",
        ),
        (
            ["beam.engine=flink", "beam.flink_master='flink:8081'"],
            "beam.job_endpoint: found null beside another address; "
            "allowed: all three, or none for the cluster of `make flink`",
        ),
        (
            ["beam.engine=flink", "beam.parallelism=0"],
            "beam.parallelism: found 0; allowed: a number above 0",
        ),
        (
            ["beam.engine=spark"],
            "beam.job_endpoint: found nothing; allowed: a value: this key is required",
        ),
        (
            ["beam.engine=spark", "beam.job_endpoint='http://spark:8099'"],
            "beam.job_endpoint: found 'http://spark:8099'; "
            "allowed: a text that matches ^[A-Za-z0-9._-]+:[0-9]{1,5}$",
        ),
        (
            [DATAFLOW, "beam.temp_location=/tmp"],
            "beam.temp_location: found '/tmp'; allowed: a text that matches ^gs://[^/]+",
        ),
        (
            [DATAFLOW, "beam.packages=[own.tar.gz]"],
            "beam.packages.0: found 'own.tar.gz'; allowed: a .whl file",
        ),
    ],
)
def test_options_when_they_do_not_fit_then_are_refused(overrides, problem, refusals):
    assert refusals(*overrides) == [problem]
