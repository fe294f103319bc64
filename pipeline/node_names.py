"""The names of a pipeline's nodes, told from its configuration without TFX."""

from __future__ import annotations

from collections.abc import Iterable

from components.example_gen.config import BigQueryConfig
from pipeline.config import RunConfig
from pipeline.config_file import Problem, Source


def node_names(config: RunConfig, records: bool = False) -> list[str]:
    """Returns what `graph.build_pipeline` makes, in an order in which the nodes can run.

    Args:
        records: look-ups are in folders, and a node more leaves there what the gate let through.
    """
    return [
        *(["BigQueryExampleGen"] if isinstance(config.data, BigQueryConfig) else []),
        "ExampleGen",
        "StatisticsGen",
        "SchemaGen",
        "ExampleValidator",
        "AcceptedData",
        "AnomalyGate",
        *(["AcceptedRecord"] if records else []),
        "Transform",
        *(["WarmStart"] if config.train.warm_start else []),
        "Trainer",
        "Baseline",
        "Evaluator",
        "Pusher",
        *(["TFLiteExport"] if config.lite is not None else []),
    ]


def unknown_nodes(
    source: Source, section: str, names: Iterable[str], known: list[str]
) -> list[Problem]:
    """Returns a problem for each name in a section that no node has."""
    found, allowed = "no node of this pipeline", ", ".join(known)
    keys = [f"{section}.{name}" for name in names if name not in known]
    return [Problem(source.of_unknown(key), key, found, allowed) for key in keys]
