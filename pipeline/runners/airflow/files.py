"""What `tapeline compile --target airflow` adds to a compiled pipeline: the DAG file."""

from __future__ import annotations

from pathlib import Path

DAG_SOURCE = Path(__file__).with_name("dag.py")
DAG_SUFFIX = "_dag.py"


def airflow_files(name: str) -> dict[str, str]:
    """Returns the text of each file to write beside `graph.json`, by its name.

    Args:
        name: of the pipeline.
    """
    return {f"{name}{DAG_SUFFIX}": DAG_SOURCE.read_text(encoding="utf-8")}
