"""The DAG file that `tapeline compile --target airflow` writes."""

from __future__ import annotations

import ast
import sys

import pytest

from pipeline.config_file import ConfigError, load_config
from pipeline.runners.airflow.files import DAG_SOURCE, airflow_files

GRAPH = {"nodes": [{"id": "ExampleGen"}, {"id": "Trainer"}]}


@pytest.fixture
def load(write_config):
    return lambda *overrides: load_config(str(write_config()), overrides)


def test_files_when_compiled_then_the_dag_is_the_linted_module_word_for_word(load):
    config = load("name=trips")
    assert airflow_files(config, GRAPH) == {"trips_dag.py": DAG_SOURCE.read_text()}


def test_dag_file_when_airflow_reads_it_then_it_imports_airflow_and_python_alone():
    imported = set()
    for node in ast.walk(ast.parse(DAG_SOURCE.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(str(node.module).partition(".")[0])
    assert imported - sys.stdlib_module_names == {"airflow", "pendulum"}


def test_files_when_a_node_is_unknown_then_its_key_and_the_nodes_are_told(load):
    config = load("orchestration.airflow.nodes={Train: {retries: 1}}")
    with pytest.raises(ConfigError, match=r"nodes\.Train: found no such node; allowed: ExampleGen"):
        airflow_files(config, GRAPH)


@pytest.mark.parametrize("path", ["trips.csv", "trips/{SPAN}/*.csv"])
def test_files_when_data_have_no_dates_then_the_interval_is_no_span_of_theirs(load, path):
    config = load(
        f"data={{source: csv, path: '{path}', label: tipped}}",
        "orchestration.airflow.span=interval",
    )
    with pytest.raises(ConfigError, match=r"airflow\.span: found interval with data\.path"):
        airflow_files(config, GRAPH)


def test_files_when_data_have_dates_then_the_interval_may_be_the_span(load):
    config = load(
        "data={source: csv, path: 'trips/{YYYY}-{MM}-{DD}.csv', label: tipped}",
        "orchestration.airflow.span=interval",
    )
    assert airflow_files(config, GRAPH)
