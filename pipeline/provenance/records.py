"""The executions and artifacts of a pipeline's metadata store, as plain records.

with open_records(config) as records:
    for execution in records.of_run("20261128-020000-000000"):
        print(execution.node, execution.state, execution.parameters)
"""

from __future__ import annotations

import contextlib
import datetime
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.config_file import ConfigError, Problem
from pipeline.metadata.connection import has_metadata, place
from pipeline.metadata.opening import metadata_cause, open_mlmd

if TYPE_CHECKING:
    from pipeline.config import RunConfig

CACHED, COMPLETE, FAILED = "CACHED", "COMPLETE", "FAILED"
RESOLVER = "tfx.dsl.components.common.resolver.Resolver"

_NOTES = ("verdict",)
"""Properties of an execution that say how it went, where all others are its parameters."""

Keys = Mapping[str, Sequence[int]]
"""Ids of artifacts by input or output, in their order."""


@dataclass(frozen=True)
class Artifact:
    """Something that a node put out.

    Attributes:
        properties: the type's and the custom ones, in plain values.
    """

    id: int
    type: str
    uri: str
    properties: Mapping[str, Any]

    @property
    def is_gone(self) -> bool:
        """Whether its folder, if that is on this machine at all, is no longer there."""
        return "://" not in self.uri and not Path(self.uri).exists()


@dataclass(frozen=True)
class Execution:
    """One time that a node ran, or that its outputs came from the cache.

    Attributes:
        node: its id in the pipeline.
        state: as ML Metadata names it: COMPLETE, CACHED, FAILED, RUNNING...
        parameters: with texts that are JSON read, however deep.
        looked_up: what a resolver found, by its output, without what it was given.
        cache_key: None for a node that the cache knows nothing of.
    """

    id: int
    pipeline: str
    node: str
    type: str
    state: str
    run_id: str
    began: datetime.datetime
    ended: datetime.datetime
    parameters: Mapping[str, Any]
    inputs: Keys
    outputs: Keys
    looked_up: Keys
    cache_key: str | None

    @property
    def is_lookup(self) -> bool:
        """Whether the node only looks something up in the metadata."""
        return self.type == RESOLVER

    @property
    def succeeded(self) -> bool:
        return self.state in (COMPLETE, CACHED)


class Records:
    """Reads a store; each record once.

    Args:
        store: an open ML Metadata store.
        pipeline: whose nodes are read.
    """

    def __init__(self, store: Any, pipeline: str) -> None:
        self._store = store
        self.pipeline = pipeline
        self._executions: dict[int, Execution] = {}
        self._artifacts: dict[int, Artifact] = {}

    def artifact(self, number: int) -> Artifact:
        """Returns an artifact by its id.

        Raises:
            LookupError: if there is none.
        """
        if number not in self._artifacts:
            found = self._store.get_artifacts_by_id([number])
            if not found:
                raise LookupError(f"no artifact {number}")
            self._artifacts[number] = _artifact(found[0])
        return self._artifacts[number]

    def execution(self, number: int) -> Execution:
        """Returns an execution by its id.

        Raises:
            LookupError: if there is none.
        """
        if number not in self._executions:
            found = self._store.get_executions_by_id([number])
            if not found:
                raise LookupError(f"no execution {number}")
            self._read(found)
        return self._executions[number]

    def of_run(self, run_id: str) -> list[Execution]:
        """Returns the last execution of each node of a run, in order; none of an unknown run."""
        last = {
            execution.node: execution
            for execution in self._in("pipeline_run", run_id)
            if execution.pipeline == self.pipeline
        }
        return sorted(last.values(), key=lambda execution: execution.id)

    def of_node(self, node: str) -> list[Execution]:
        """Returns all executions of a node, oldest first."""
        return self._in("node", f"{self.pipeline}.{node}")

    def of_cache_key(self, key: str) -> list[Execution]:
        """Returns the executions that are the same to the cache, oldest first."""
        return self._in("execution_cache", key)

    def users(self, artifact: int) -> list[Execution]:
        """Returns the executions that took an artifact in, oldest first."""
        return self._of_events(artifact, _event_types().INPUT)

    def makers(self, artifact: int) -> list[Execution]:
        """Returns the executions that put an artifact out, oldest first.

        That is the one that made it, then those that took it from the cache.
        """
        return self._of_events(artifact, _event_types().OUTPUT)

    def maker(self, artifact: int) -> Execution:
        """Returns the execution that made an artifact.

        Raises:
            LookupError: if none did.
        """
        found = self.makers(artifact)
        made = [execution for execution in found if execution.state != CACHED] or found
        if not made:
            raise LookupError(f"nothing put out artifact {artifact}")
        return made[0]

    def by_uri(self, uri: str) -> list[Artifact]:
        """Returns the artifacts that lie in a folder."""
        return [_artifact(found) for found in self._store.get_artifacts_by_uri(uri)]

    def _in(self, kind: str, name: str) -> list[Execution]:
        context = self._store.get_context_by_type_and_name(kind, name)
        if context is None:
            return []
        return self._read(self._store.get_executions_by_context(context.id))

    def _of_events(self, artifact: int, kind: int) -> list[Execution]:
        events = self._store.get_events_by_artifact_ids([artifact])
        ids = sorted({event.execution_id for event in events if event.type == kind})
        return self._read(self._store.get_executions_by_id(ids)) if ids else []

    def _read(self, found: Iterable[Any]) -> list[Execution]:
        protos = {proto.id: proto for proto in found}
        new = [number for number in protos if number not in self._executions]
        events: dict[int, list[Any]] = {number: [] for number in new}
        for event in self._store.get_events_by_execution_ids(new) if new else ():
            events[event.execution_id].append(event)
        for number in new:
            contexts = self._store.get_contexts_by_execution(number)
            names = {context.type: context.name for context in contexts}
            self._executions[number] = _execution(protos[number], events[number], names)
        return [self._executions[number] for number in sorted(protos)]


@contextlib.contextmanager
def open_records(config: RunConfig) -> Iterator[Records]:
    """Opens the metadata of a configuration's pipeline.

    Raises:
        ConfigError: if there are none.
        MetadataError: if they cannot be read.
    """
    from ml_metadata import errors

    if not has_metadata(config):
        where = place(config.metadata, config.pipeline_root)
        allowed = f"the metadata that runs of {config.name} leave"
        raise ConfigError(Problem(where, "(metadata)", "no such file", allowed))
    store = open_mlmd(config.metadata, config.pipeline_root, read_only=True)
    try:
        yield Records(store, config.name)
    except errors.StatusError as error:
        cause = metadata_cause(error, config)
        if cause is None:
            raise
        raise cause from error


def parsed(value: Any) -> Any:
    """Returns a value with the texts in it that are JSON objects or lists read, however deep."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return parsed(json.loads(value))
        except ValueError:
            return value
    if isinstance(value, dict):
        return {key: parsed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [parsed(inner) for inner in value]
    return value


def _execution(proto: Any, events: Sequence[Any], contexts: Mapping[str, str]) -> Execution:
    kinds = _event_types()
    values = {**_values(proto.properties), **_values(proto.custom_properties)}
    node, pipeline = contexts.get("node", ""), contexts.get("pipeline", "")
    given = _keys(events, kinds.INPUT)
    return Execution(
        id=proto.id,
        pipeline=pipeline,
        node=node.removeprefix(f"{pipeline}."),
        type=proto.type,
        state=type(proto).State.Name(proto.last_known_state),
        run_id=contexts.get("pipeline_run", ""),
        began=_time(proto.create_time_since_epoch),
        ended=_time(proto.last_update_time_since_epoch),
        parameters={
            name: parsed(value)
            for name, value in values.items()
            if not name.startswith("__") and name not in _NOTES
        },
        inputs=given,
        outputs=_keys(events, kinds.OUTPUT),
        looked_up=_keys(events, kinds.INTERNAL_OUTPUT),
        cache_key=contexts.get("execution_cache"),
    )


def _keys(events: Sequence[Any], kind: int) -> dict[str, tuple[int, ...]]:
    """Returns the artifacts of the events of a kind, by input or output."""
    found: dict[str, list[tuple[int, int]]] = {}
    for event in events:
        if event.type == kind:
            # A key, and the place of the artifact among those of the key.
            steps = event.path.steps
            place = steps[1].index if len(steps) > 1 else 0
            found.setdefault(steps[0].key, []).append((place, event.artifact_id))
    return {key: tuple(number for _, number in sorted(places)) for key, places in found.items()}


def _artifact(proto: Any) -> Artifact:
    values = {**_values(proto.properties), **_values(proto.custom_properties)}
    return Artifact(proto.id, proto.type, proto.uri, values)


def _values(properties: Mapping[str, Any]) -> dict[str, Any]:
    from google.protobuf.json_format import MessageToDict

    found = {}
    for name, value in properties.items():
        kind = value.WhichOneof("value")
        content = getattr(value, kind) if kind else None
        found[name] = MessageToDict(content) if kind in ("struct_value", "proto_value") else content
    return dict(sorted(found.items()))


def _event_types() -> Any:
    from ml_metadata.proto import metadata_store_pb2

    return metadata_store_pb2.Event


def _time(milliseconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.timezone.utc)
