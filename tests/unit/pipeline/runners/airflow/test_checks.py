"""What `orchestration.airflow` says that does not go with the pipeline."""

from __future__ import annotations

import pytest

from pipeline.config_file import Source, load_config
from pipeline.runners.airflow.checks import airflow_problems

INTERVAL = "orchestration.airflow.span=interval"


@pytest.fixture
def problems(write_config):
    """Returns the file, and the problems of its configuration under overrides."""
    path = str(write_config({"orchestration.airflow.nodes": {"Train": {"retries": 1}}}))

    def check(*overrides):
        found = airflow_problems(load_config(path, overrides), Source(path, overrides))
        return path, [str(problem) for problem in found]

    return check


def test_nodes_when_one_is_unknown_then_file_key_and_the_nodes_are_told(problems):
    path, (found,) = problems()
    assert found.startswith(
        f"{path}: orchestration.airflow.nodes.Train: found no node of this pipeline; "
        "allowed: ExampleGen, "
    )


def test_nodes_when_an_override_named_the_unknown_one_then_it_is_told(problems):
    override = "orchestration.airflow.nodes.TFLiteExport.retries=1"
    _, (_, found) = problems(override)
    assert found.startswith(f"--set {override}: orchestration.airflow.nodes.TFLiteExport: found no")


def test_nodes_when_the_pipeline_has_them_then_there_is_no_problem(problems):
    nodes = "orchestration.airflow.nodes={Trainer: {retries: 1}, TFLiteExport: {retries: 1}}"
    assert problems(nodes, "lite={variants: [float32]}")[1] == []


@pytest.mark.parametrize("path", ["trips.csv", "trips/{SPAN}/*.csv"])
def test_span_when_data_have_no_dates_then_the_interval_is_refused(problems, path):
    data = f"data={{source: csv, path: '{path}', label: tipped}}"
    _, found = problems("orchestration.airflow.nodes={}", data, INTERVAL)
    allowed = "latest, or a data.path with {YYYY}, {MM} and {DD}"
    assert found == [
        f"--set {INTERVAL}: orchestration.airflow.span: found interval with data.path {path}; "
        f"allowed: {allowed}"
    ]


def test_span_when_data_have_dates_then_it_may_be_the_interval(problems):
    data = "data={source: csv, path: 'trips/{YYYY}-{MM}-{DD}.csv', label: tipped}"
    assert problems("orchestration.airflow.nodes={}", data, INTERVAL)[1] == []
