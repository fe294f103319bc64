"""What a run leaves: in the metadata, and in the folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def open_store(pipeline_root: Path) -> Any:
    from ml_metadata.metadata_store import metadata_store
    from tfx.orchestration import metadata

    path = pipeline_root / "metadata.sqlite"
    return metadata_store.MetadataStore(metadata.sqlite_metadata_connection_config(str(path)))


def lineage(pipeline_root: Path, run_id: str) -> list[tuple[str, str, tuple[str, ...]]]:
    """Returns each execution of a run: its type, its state, and what came in and went out."""
    from ml_metadata.proto import metadata_store_pb2

    store = open_store(pipeline_root)
    context = store.get_context_by_type_and_name("pipeline_run", run_id)
    found = []
    for execution in store.get_executions_by_context(context.id):
        events = store.get_events_by_execution_ids([execution.id])
        artifacts = {
            artifact.id: artifact
            for artifact in store.get_artifacts_by_id([event.artifact_id for event in events])
        }
        ends = sorted(
            f"{metadata_store_pb2.Event.Type.Name(event.type)} {event.path.steps[0].key} "
            f"{artifacts[event.artifact_id].type}"
            for event in events
        )
        state = metadata_store_pb2.Execution.State.Name(execution.last_known_state)
        found.append((execution.type, state, tuple(ends)))
    return sorted(found)


def strangers(pipeline_root: Path) -> list[str]:
    """Returns the folders of outputs that no live artifact is in, and what is half written."""
    from ml_metadata.proto import metadata_store_pb2

    store = open_store(pipeline_root)
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
