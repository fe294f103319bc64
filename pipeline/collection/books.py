"""The metadata of one pipeline, read once: what came out of what, and in which run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ml_metadata.proto import metadata_store_pb2

from pipeline.collection.missing import is_whole

_Execution, _Event = metadata_store_pb2.Execution, metadata_store_pb2.Event
_INPUTS = (_Event.INPUT, _Event.DECLARED_INPUT)
_OUTPUTS = (_Event.OUTPUT, _Event.DECLARED_OUTPUT)
_FINISHED = (_Execution.COMPLETE, _Execution.CACHED)
_AT_ONCE = 500
"""Executions whose events are asked for together."""

_Ids = Mapping[str, tuple[int, ...]]
"""Ids of artifacts by key."""


@dataclass(frozen=True)
class Artifact:
    """An artifact.

    Attributes:
        is_live: whether a run may still be given it.
        created: seconds since 1970.
    """

    id: int
    type: str
    uri: str
    is_live: bool
    created: float
    properties: Mapping[str, Any]


@dataclass(frozen=True)
class Execution:
    """A node in a run: the ids of the artifacts that it took and put out, by key."""

    id: int
    node: str
    run_id: str
    is_finished: bool
    inputs: _Ids
    outputs: _Ids


@dataclass(frozen=True)
class Books:
    """All of a pipeline.

    Attributes:
        runs: when each began, in seconds since 1970, by its id.
    """

    artifacts: Mapping[int, Artifact]
    executions: Mapping[int, Execution]
    runs: Mapping[str, float]

    def makers(self, artifact: int) -> Sequence[Execution]:
        """Returns the executions that put an artifact out, from the cache or not."""
        return self._makers.get(artifact, ())

    def users(self, artifact: int, key: str | None = None) -> list[Execution]:
        """Returns the executions that took an artifact, under any key or that one."""
        found = self._users.get(artifact, ())
        return [user for user in found if key is None or artifact in user.inputs.get(key, ())]

    def live(self, *types: str) -> list[Artifact]:
        """Returns the live artifacts of these types, oldest first; of all without types."""
        found = [a for a in self.artifacts.values() if a.is_live and a.type in (types or (a.type,))]
        return sorted(found, key=lambda artifact: artifact.id)

    @cached_property
    def _makers(self) -> Mapping[int, list[Execution]]:
        return _by_artifact(self.executions.values(), lambda execution: execution.outputs)

    @cached_property
    def _users(self) -> Mapping[int, list[Execution]]:
        return _by_artifact(self.executions.values(), lambda execution: execution.inputs)


def read_books(store: Any, pipeline: str) -> Books:
    """Reads the metadata of a pipeline; empty ones if it never ran."""
    context = store.get_context_by_type_and_name("pipeline", pipeline)
    if context is None:
        return Books({}, {}, {})
    artifacts = {found.id: _artifact(found) for found in store.get_artifacts_by_context(context.id)}
    found = {execution.id: execution for execution in store.get_executions_by_context(context.id)}
    run_of, node_of = (
        {
            execution.id: kind
            for kind in store.get_contexts_by_type(name)
            for execution in store.get_executions_by_context(kind.id)
        }
        for name in ("pipeline_run", "node")
    )
    inputs: dict[int, dict[str, tuple[int, ...]]] = {}
    outputs: dict[int, dict[str, tuple[int, ...]]] = {}
    ids = list(found)
    for first in range(0, len(ids), _AT_ONCE):
        for event in store.get_events_by_execution_ids(ids[first : first + _AT_ONCE]):
            of = inputs if event.type in _INPUTS else outputs if event.type in _OUTPUTS else None
            if of is not None and event.path.steps:
                keys = of.setdefault(event.execution_id, {})
                key = event.path.steps[0].key
                keys[key] = (*keys.get(key, ()), event.artifact_id)
    executions = {
        number: Execution(
            number,
            node_of[number].name.removeprefix(f"{pipeline}."),
            run_of[number].name,
            execution.last_known_state in _FINISHED,
            inputs.get(number, {}),
            outputs.get(number, {}),
        )
        for number, execution in found.items()
        if number in run_of and number in node_of
    }
    runs = {run_of[n].name: run_of[n].create_time_since_epoch / 1000 for n in executions}
    return Books(artifacts, executions, runs)


def _by_artifact(
    executions: Iterable[Execution], of: Callable[[Execution], _Ids]
) -> dict[int, list[Execution]]:
    found: dict[int, list[Execution]] = {}
    for execution in executions:
        for artifact in {artifact for ids in of(execution).values() for artifact in ids}:
            found.setdefault(artifact, []).append(execution)
    return found


def _artifact(found: Any) -> Artifact:
    properties = {**found.properties, **found.custom_properties}
    return Artifact(
        found.id,
        found.type,
        found.uri,
        is_whole(found),
        found.create_time_since_epoch / 1000,
        {name: getattr(value, value.WhichOneof("value")) for name, value in properties.items()},
    )
