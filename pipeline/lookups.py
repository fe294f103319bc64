"""What a pipeline looks up of earlier runs, and where: in ML Metadata, or in folders.

The graph is the same either way. Runners that launch nodes beside an ML Metadata store resolve
there; Kubeflow, which does not let resolvers of our own in, reads folders that outlive a run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import (
    LatestBlessedModelStrategy,
)
from tfx.types import Channel
from tfx.types.standard_artifacts import ExampleStatistics, Model, ModelBlessing, Schema

from components.anomaly_gate.strategy import AcceptedDataStrategy, GateVerdict
from components.baseline import BaselineStrategy
from components.lookups.accepted_data import AcceptedData, AcceptedRecord
from components.lookups.served_model import ServedModel

_ACCEPTED_DATA, _WARM_START, _BASELINE = "AcceptedData", "WarmStart", "Baseline"
ACCEPTED_RECORD = "AcceptedRecord"


class Lookups(Protocol):
    """The nodes that look up; each puts out one artifact, or none where there is none yet."""

    def accepted_data(self, candidate: Any, scope: str) -> Any:
        """Returns the node with the `statistics` and the `schema` that data are held to.

        Args:
            candidate: statistics of the data.
            scope: only data of the same scope count.
        """

    def accepted_record(self, statistics: Any, schema: Any, verdict: Any, scope: str) -> list[Any]:
        """Returns the nodes that keep what the gate let through for `accepted_data` to find."""

    def last_blessed(self) -> Any:
        """Returns the node with the last blessed `model`."""

    def baseline(self, candidate: Any) -> Any:
        """Returns the node with the last blessed `model` that is not the candidate."""


class MetadataLookups:
    """Resolvers: what ML Metadata knows."""

    def accepted_data(self, candidate: Any, scope: str) -> Any:
        return Resolver(
            strategy_class=AcceptedDataStrategy,
            config={"scope": scope},
            candidate=candidate,
            statistics=Channel(type=ExampleStatistics),
            schema=Channel(type=Schema),
            verdict=Channel(type=GateVerdict),
        ).with_id(_ACCEPTED_DATA)

    def accepted_record(self, statistics: Any, schema: Any, verdict: Any, scope: str) -> list[Any]:
        return []  # the verdict in ML Metadata is the record

    def last_blessed(self) -> Any:
        return Resolver(
            strategy_class=LatestBlessedModelStrategy,
            model=Channel(type=Model),
            model_blessing=Channel(type=ModelBlessing),
        ).with_id(_WARM_START)

    def baseline(self, candidate: Any) -> Any:
        return Resolver(
            strategy_class=BaselineStrategy,
            candidate=candidate,
            model=Channel(type=Model),
            model_blessing=Channel(type=ModelBlessing),
        ).with_id(_BASELINE)


class FolderLookups:
    """Components: what the folders hold.

    Args:
        models: folder of the version folders. What is there was blessed, and pushed.
        accepted: folder of the accepted data.
    """

    def __init__(self, models: Path, accepted: Path) -> None:
        self._models, self._accepted = str(models), str(accepted)

    def accepted_data(self, candidate: Any, scope: str) -> Any:
        return AcceptedData(candidate, self._accepted, scope).with_id(_ACCEPTED_DATA)

    def accepted_record(self, statistics: Any, schema: Any, verdict: Any, scope: str) -> list[Any]:
        return [
            AcceptedRecord(statistics, schema, verdict, self._accepted, scope).with_id(
                ACCEPTED_RECORD
            )
        ]

    def last_blessed(self) -> Any:
        return ServedModel(self._models).with_id(_WARM_START)

    def baseline(self, candidate: Any) -> Any:
        return ServedModel(self._models, candidate).with_id(_BASELINE)
