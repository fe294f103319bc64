"""The DAG file that `tapeline compile --target airflow` writes."""

from __future__ import annotations

import ast
import sys

from pipeline.runners.airflow.files import DAG_SOURCE, airflow_files


def test_files_when_compiled_then_the_dag_is_the_linted_module_word_for_word():
    assert airflow_files("trips") == {"trips_dag.py": DAG_SOURCE.read_text()}


def test_dag_file_when_airflow_reads_it_then_it_imports_airflow_and_python_alone():
    imported = set()
    for node in ast.walk(ast.parse(DAG_SOURCE.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(str(node.module).partition(".")[0])
    assert imported - sys.stdlib_module_names == {"airflow", "pendulum"}
