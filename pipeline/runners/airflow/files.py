"""What `tapeline compile --target airflow` adds to a compiled pipeline: the DAG file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.config import RunConfig
from pipeline.config_file import ConfigError, Problem

DAG_SOURCE = Path(__file__).with_name("dag.py")


def airflow_files(config: RunConfig, graph: dict[str, Any]) -> dict[str, str]:
    """Returns the text of each file to write beside `graph.json`, by its name.

    Args:
        graph: what `graph.json` holds; its nodes are those that the configuration may name.

    Raises:
        ConfigError: if `orchestration.airflow` does not go with the pipeline.
    """
    problems = airflow_problems(config, [node["id"] for node in graph["nodes"]])
    if problems:
        raise ConfigError(*problems)
    return {f"{config.name}_dag.py": DAG_SOURCE.read_text(encoding="utf-8")}


def airflow_problems(config: RunConfig, nodes: list[str]) -> list[Problem]:
    """Returns what is wrong with `orchestration.airflow` for a pipeline of these nodes."""
    settings, prefix = config.orchestration.airflow, "orchestration.airflow"
    problems = [
        Problem(config.name, f"{prefix}.nodes.{name}", "no such node", ", ".join(nodes))
        for name in settings.nodes
        if name not in nodes
    ]
    path = getattr(config.data, "path", None)
    if settings.span == "interval" and (path is None or "{YYYY}" not in path):
        found = f"interval with data.path {path}"
        allowed = "latest, or a data.path with {YYYY}, {MM} and {DD}"
        problems.append(Problem(config.name, f"{prefix}.span", found, allowed))
    return problems
