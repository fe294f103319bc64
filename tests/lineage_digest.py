"""What the metadata say of a run, without what differs from run to run: ids, times and folders."""

from __future__ import annotations

from typing import Any

from ml_metadata.proto import metadata_store_pb2 as mlmd


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


def lineage(store: Any, pipeline: str, run_id: str) -> list[dict[str, Any]]:
    """Returns the run's executions: node, state, and what went in and came out.

    By the names of their nodes: those that wait for the same ones run in any order.
    """
    run = store.get_context_by_type_and_name("pipeline_run", run_id)
    executions = store.get_executions_by_context(run.id)
    nodes = {found.id: _node(store, found.id, pipeline) for found in executions}
    executions.sort(key=lambda found: (nodes[found.id], found.id))
    return [
        {
            "node": nodes[found.id],
            "state": mlmd.Execution.State.Name(found.last_known_state),
            "properties": sorted({*found.properties, *found.custom_properties}),
            "inputs": _artifacts(store, found.id, mlmd.Event.INPUT, pipeline),
            "outputs": _artifacts(store, found.id, mlmd.Event.OUTPUT, pipeline),
        }
        for found in executions
    ]


def _node(store: Any, execution: int, pipeline: str) -> str:
    names = [c.name for c in store.get_contexts_by_execution(execution) if c.type == "node"]
    return names[0].removeprefix(f"{pipeline}.") if names else "?"


def _artifacts(store: Any, execution: int, kind: int, pipeline: str) -> list[tuple[str, ...]]:
    """Returns key, type, state, property names and the node that made it, of each artifact."""
    events = [e for e in store.get_events_by_execution_ids([execution]) if e.type == kind]
    found = []
    for event in events:
        (artifact,) = store.get_artifacts_by_id([event.artifact_id])
        makers = [
            _node(store, e.execution_id, pipeline)
            for e in store.get_events_by_artifact_ids([artifact.id])
            if e.type == mlmd.Event.OUTPUT
        ]
        names = sorted({*artifact.properties, *artifact.custom_properties})
        state = mlmd.Artifact.State.Name(artifact.state)
        key = event.path.steps[0].key
        found.append((key, artifact.type, state, ",".join(names), ",".join(sorted(set(makers)))))
    return sorted(found)
