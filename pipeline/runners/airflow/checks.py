"""What `orchestration.airflow` says that does not go with the pipeline, found before compiling."""

from __future__ import annotations

from pipeline.config import RunConfig
from pipeline.config_file import Problem, Source
from pipeline.node_names import node_names, unknown_nodes

_SECTION = "orchestration.airflow"


def airflow_problems(config: RunConfig, source: Source) -> list[Problem]:
    """Checks a configuration for Airflow; imports neither TFX nor TensorFlow.

    Args:
        source: where the configuration came from, for the messages.
    """
    settings = config.orchestration.airflow
    problems = unknown_nodes(source, f"{_SECTION}.nodes", settings.nodes, node_names(config))
    path = getattr(config.data, "path", None)
    if settings.span == "interval" and (path is None or "{YYYY}" not in path):
        found = f"interval with data.path {path}"
        allowed = "latest, or a data.path with {YYYY}, {MM} and {DD}"
        problems.append(source.problem(f"{_SECTION}.span", found, allowed))
    return problems
