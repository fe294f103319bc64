"""What a run leaves: in the metadata, and in the folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_SAID_BY_ITSELF = ("fingerprint", "blessed", "span", "version", "rows", "split_names")
"""Properties of artifacts that tell of the data and the verdict rather than of place and time."""


def open_store(pipeline_root: Path) -> Any:
    """Opens metadata that are in a file; `MetadataBackend.open` opens those of a server too."""
    from ml_metadata.metadata_store import metadata_store
    from tfx.orchestration import metadata

    path = pipeline_root / "metadata.sqlite"
    return metadata_store.MetadataStore(metadata.sqlite_metadata_connection_config(str(path)))


def types(store: Any) -> dict[str, dict[str, dict[str, int]]]:
    """Returns the properties of each type by its kind and name."""
    kinds = {
        "artifact": store.get_artifact_types(),
        "execution": store.get_execution_types(),
        "context": store.get_context_types(),
    }
    return {
        kind: {one.name: dict(one.properties) for one in found} for kind, found in kinds.items()
    }


def lineage(store: Any, run_id: str) -> list[dict[str, Any]]:
    """Returns each execution of a run, without what differs from run to run: ids, times, folders.

    By the names of their nodes: those that wait for the same ones run in any order. Each has its
    `node`, `type`, `state`, the names of its `properties`, and as `events` what came in and out.
    """
    from ml_metadata.proto import metadata_store_pb2 as mlmd

    context = store.get_context_by_type_and_name("pipeline_run", run_id)
    executions = store.get_executions_by_context(context.id)
    events = store.get_events_by_execution_ids([found.id for found in executions])
    ids = {event.artifact_id for event in events}
    artifacts = {found.id: found for found in store.get_artifacts_by_id(ids)}
    makers = {
        event.artifact_id: _node(store, event.execution_id)
        for event in store.get_events_by_artifact_ids(ids)
        if event.type == mlmd.Event.OUTPUT
    }

    def told(event: Any) -> tuple[Any, ...]:
        artifact = artifacts[event.artifact_id]
        properties = {**artifact.properties, **artifact.custom_properties}
        return (
            mlmd.Event.Type.Name(event.type),
            # An artifact may be known by several names, an input's and a condition's, in
            # the order of a protocol buffer's map, which is any.
            tuple(sorted(step.key for step in event.path.steps if step.HasField("key"))),
            makers[event.artifact_id],
            artifact.type,
            mlmd.Artifact.State.Name(artifact.state),
            tuple(sorted(properties)),
            tuple((name, str(properties[name])) for name in _SAID_BY_ITSELF if name in properties),
        )

    found = [
        {
            "node": _node(store, execution.id),
            "type": execution.type,
            "state": mlmd.Execution.State.Name(execution.last_known_state),
            "properties": sorted({*execution.properties, *execution.custom_properties}),
            "events": sorted(told(event) for event in events if event.execution_id == execution.id),
        }
        for execution in sorted(executions, key=lambda execution: execution.id)
    ]
    return sorted(found, key=lambda execution: execution["node"])


def _node(store: Any, execution: int) -> str:
    """Returns the name of the node of an execution, which MLMD has with the pipeline's before."""
    (node,) = [c.name for c in store.get_contexts_by_execution(execution) if c.type == "node"]
    return str(node).partition(".")[2]


def strangers(store: Any, pipeline_root: Path) -> list[str]:
    """Returns the folders of outputs that no live artifact is in, and what is half written."""
    from ml_metadata.proto import metadata_store_pb2

    live = {
        Path(artifact.uri)
        for artifact in store.get_artifacts()
        if artifact.state == metadata_store_pb2.Artifact.LIVE
    }
    outputs = set((pipeline_root / "artifacts").glob("*/*/*"))
    partial = {
        path
        for pattern in (".tapeline-*", "*.partial", "beam-temp-*")
        for path in pipeline_root.rglob(pattern)
    }
    return sorted(str(path) for path in (outputs - live) | partial)
