"""What the metadata store knows of a run: the state of each node and what came out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ml_metadata.proto import metadata_store_pb2

_Execution = metadata_store_pb2.Execution
_RAW_EXAMPLES = "raw_examples"

CACHED, DONE = "cached", "done"
EARLIER = "earlier"
"""State of a node that a run had finished when it was resumed."""
SKIPPED = "skipped"
"""State of a node whose condition is false."""


@dataclass(frozen=True)
class Training:
    """Which run trained a model, and the folder of the raw examples that it had."""

    run_id: str
    examples_uri: str


def training_of(store: Any, model_uri: str) -> Training:
    """Returns what is known of the last training that a model came out of.

    Raises:
        LookupError: if the store knows no such model.
    """
    events = store.get_events_by_artifact_ids(
        [artifact.id for artifact in store.get_artifacts_by_uri(model_uri)]
    )
    # A run that takes the model from the cache puts it out too.
    makers = [
        event.execution_id for event in events if event.type == metadata_store_pb2.Event.OUTPUT
    ]
    if not makers:
        raise LookupError(f"nothing put out {model_uri}")
    inputs = [
        event.artifact_id
        for event in store.get_events_by_execution_ids([max(makers)])
        if event.type == metadata_store_pb2.Event.INPUT and event.path.steps[0].key == _RAW_EXAMPLES
    ]
    runs = [
        context.name
        for context in store.get_contexts_by_execution(max(makers))
        if context.type == "pipeline_run"
    ]
    if not inputs or not runs:
        raise LookupError(f"what put out {model_uri} was not trained on raw examples in a run")
    (examples,) = store.get_artifacts_by_id(inputs[:1])
    return Training(runs[0], examples.uri)


class Lineage:
    """One run of one pipeline in the store.

    Args:
        store: an open ML Metadata store.
        pipeline: the pipeline's name.
        run_id: of the run.
    """

    def __init__(self, store: Any, pipeline: str, run_id: str) -> None:
        self._store = store
        self._pipeline = pipeline
        context = store.get_context_by_type_and_name("pipeline_run", run_id)
        executions = store.get_executions_by_context(context.id) if context else []
        self._executions = {execution.id: execution for execution in executions}

    def node_state(self, node: str) -> str:
        """Returns `cached` if the node's outputs were reused or were in place, else `done`."""
        if self._found(node).last_known_state == _Execution.CACHED:
            return CACHED
        pushed = [
            artifact.custom_properties["is_new"].int_value
            for artifact in self.outputs(node)
            if "is_new" in artifact.custom_properties
        ]
        return CACHED if pushed == [0] else DONE

    def outputs(self, node: str) -> list[Any]:
        """Returns the artifacts that the node put out, newest last.

        Raises:
            LookupError: if it did not run.
        """
        execution = self._found(node)
        events = self._store.get_events_by_execution_ids([execution.id])
        ids = [
            event.artifact_id for event in events if event.type == metadata_store_pb2.Event.OUTPUT
        ]
        return sorted(self._store.get_artifacts_by_id(ids), key=lambda artifact: artifact.id)

    def output(self, node: str, type_name: str) -> Any:
        """Returns the one output artifact of that type.

        Raises:
            LookupError: if there is none.
        """
        for artifact in reversed(self.outputs(node)):
            if artifact.type == type_name:
                return artifact
        raise LookupError(f"{node} has no {type_name} in this run")

    def execution(self, node: str) -> Any | None:
        """Returns the node's last execution in this run; None if there is none."""
        context = self._store.get_context_by_type_and_name("node", f"{self._pipeline}.{node}")
        if context is not None:
            found = [
                self._executions[execution.id]
                for execution in self._store.get_executions_by_context(context.id)
                if execution.id in self._executions
            ]
            if found:
                return max(found, key=lambda execution: execution.id)
        return None

    def _found(self, node: str) -> Any:
        execution = self.execution(node)
        if execution is None:
            raise LookupError(f"{node} did not run in this run")
        return execution
