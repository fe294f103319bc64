"""The metadata of one pipeline, read once: what came out of what, and in which run."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ml_metadata.proto import metadata_store_pb2

from pipeline.collection.missing import is_whole

FREED = "freed"
"""Property of an artifact that a collection freed."""

_Execution, _Event = metadata_store_pb2.Execution, metadata_store_pb2.Event
_KINDS = {
    _Event.INPUT: "inputs",
    _Event.DECLARED_INPUT: "inputs",
    _Event.OUTPUT: "outputs",
    _Event.DECLARED_OUTPUT: "outputs",
    _Event.INTERNAL_OUTPUT: "looked_up",
}
_FINISHED = (_Execution.COMPLETE, _Execution.CACHED)
_AT_ONCE = 500
"""Executions whose events are asked for together."""

_Ids = Mapping[str, tuple[int, ...]]
"""Ids of artifacts by key."""


class State(enum.Enum):
    """What became of an artifact."""

    PENDING = "was never published"
    LIVE = "a run may be given it"
    GONE = "somebody removed it, or a part of it, and the metadata do not know"
    DELETED = "the metadata know that it is gone, or a part of it"
    FREED = "a collection freed it"


@dataclass(frozen=True)
class Artifact:
    id: int
    type: str
    uri: str
    state: State
    properties: Mapping[str, Any]


@dataclass(frozen=True)
class Execution:
    """A node in a run: the ids of the artifacts that it took and put out, by key.

    Attributes:
        looked_up: what a resolver found among what others had put out.
    """

    id: int
    node: str
    run_id: str
    is_finished: bool
    inputs: _Ids
    outputs: _Ids
    looked_up: _Ids


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
        found = [artifact for artifact in self.artifacts.values() if artifact.state is State.LIVE]
        wanted = [artifact for artifact in found if not types or artifact.type in types]
        return sorted(wanted, key=lambda artifact: artifact.id)

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
    events: dict[tuple[int, str], dict[str, tuple[int, ...]]] = {}
    ids = list(found)
    for first in range(0, len(ids), _AT_ONCE):
        for event in store.get_events_by_execution_ids(ids[first : first + _AT_ONCE]):
            if event.type in _KINDS and event.path.steps:
                keys = events.setdefault((event.execution_id, _KINDS[event.type]), {})
                key = event.path.steps[0].key
                keys[key] = (*keys.get(key, ()), event.artifact_id)
    executions = {
        number: Execution(
            number,
            node_of[number].name.removeprefix(f"{pipeline}."),
            run_of[number].name,
            execution.last_known_state in _FINISHED,
            *(events.get((number, kind), {}) for kind in ("inputs", "outputs", "looked_up")),
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
        _state(found),
        {name: getattr(value, value.WhichOneof("value")) for name, value in properties.items()},
    )


def _state(found: Any) -> State:
    states = metadata_store_pb2.Artifact
    if is_whole(found):
        return State.LIVE
    if found.state == states.LIVE:
        return State.GONE
    if FREED in found.custom_properties:
        return State.FREED
    return State.DELETED if found.state == states.DELETED else State.PENDING
