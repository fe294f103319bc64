"""What ML Metadata knows of a run, without what two runs of the same must differ in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_SAID_BY_ITSELF = ("fingerprint", "blessed", "span", "version", "rows", "split_names")
"""Properties of artifacts that tell of the data and the verdict rather than of place and time."""


def lineage(database: Path, run_id: str) -> dict[str, Any]:
    """Returns each execution of a run by its node.

    The value holds the execution's type, its state, and its events: input or output, under which
    name, the node that made the artifact, the artifact's type, its state, and what it says of
    itself.
    """
    from ml_metadata.proto import metadata_store_pb2 as mlmd
    from tfx.orchestration import metadata

    with metadata.Metadata(metadata.sqlite_metadata_connection_config(str(database))) as handle:
        store = handle.store
        (run,) = [c for c in store.get_contexts_by_type("pipeline_run") if c.name == run_id]
        executions = store.get_executions_by_context(run.id)
        artifacts = {a.id: a for a in store.get_artifacts_by_context(run.id)}
        types = {t.id: t.name for t in store.get_artifact_types()}
        kinds = {t.id: t.name for t in store.get_execution_types()}
        events = store.get_events_by_execution_ids([e.id for e in executions])
        nodes = {e.id: _node(store, e.id) for e in executions}
        makers = {
            e.artifact_id: nodes[e.execution_id] for e in events if e.type == mlmd.Event.OUTPUT
        }

        def told(event: Any) -> tuple[Any, ...]:
            artifact = artifacts[event.artifact_id]
            says = {
                name: str(found[name])
                for found in (artifact.properties, artifact.custom_properties)
                for name in _SAID_BY_ITSELF
                if name in found
            }
            return (
                mlmd.Event.Type.Name(event.type),
                # An artifact may be known by several names, an input's and a condition's, in
                # the order of a protocol buffer's map, which is any.
                tuple(sorted(step.key for step in event.path.steps if step.HasField("key"))),
                makers.get(event.artifact_id),
                types[artifact.type_id],
                mlmd.Artifact.State.Name(artifact.state),
                tuple(sorted(says.items())),
            )

        return {
            nodes[e.id]: (
                kinds[e.type_id],
                mlmd.Execution.State.Name(e.last_known_state),
                sorted(map(repr, (told(event) for event in events if event.execution_id == e.id))),
            )
            for e in executions
        }


def _node(store: Any, execution: int) -> str:
    (node,) = [c.name for c in store.get_contexts_by_execution(execution) if c.type == "node"]
    return str(node)
