"""TFX's launcher, for nodes that may run twice in a run and folders that may be there already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration.portable import data_types, execution_publish_utils, launcher
from tfx.orchestration.portable.mlmd import execution_lib
from tfx.proto.orchestration import execution_result_pb2

from pipeline.leftovers import remove_stale_outputs


class Launcher(launcher.Launcher):
    """Launches one node.

    Args:
        afresh: whether what an execution of this run had put out is gone, so that there is to be
            another one. The old one stays in the books, as what it put out was used.
    """

    def __init__(self, afresh: bool, **of_tfx: Any) -> None:
        super().__init__(**of_tfx)
        self._afresh = afresh

    def _register_or_reuse_execution(
        self,
        metadata_handle: Any,
        contexts: list[metadata_store_pb2.Context],
        input_artifacts: Mapping[str, Sequence[Any]] | None = None,
        exec_properties: Mapping[str, Any] | None = None,
    ) -> metadata_store_pb2.Execution:
        """Returns the newest execution of the run; TFX's knows of no run that has several.

        One that failed with other inputs stays in the books with those: an input that was gone may
        have been made again since, and the books have to say what the outputs were made of.
        """
        found = execution_lib.get_executions_associated_with_all_contexts(metadata_handle, contexts)
        if found and not self._afresh:
            newest = max(found, key=lambda execution: execution.id)
            if execution_lib.is_execution_successful(newest):
                return newest
            store = metadata_handle.store
            given = {one.id for found in (input_artifacts or {}).values() for one in found}
            if _inputs(store, newest.id) == given:
                return newest
            newest.last_known_state = metadata_store_pb2.Execution.FAILED
            store.put_executions([newest])
        return execution_publish_utils.register_execution(
            metadata_handle=metadata_handle,
            execution_type=self._pipeline_node.node_info.type,
            contexts=contexts,
            input_artifacts=input_artifacts,
            exec_properties=exec_properties,
        )

    def _run_executor(
        self, execution_info: data_types.ExecutionInfo
    ) -> execution_result_pb2.ExecutorOutput:
        """Runs the executor in empty folders.

        Metadata that were lost and begun anew count executions from 1 again, and the folders of
        the lost ones are still there.
        """
        remove_stale_outputs(
            [
                Path(artifact.uri)
                for artifacts in execution_info.output_dict.values()
                for artifact in artifacts
            ],
            execution_info.execution_id,
        )
        return super()._run_executor(execution_info)


def _inputs(store: Any, execution_id: int) -> set[int]:
    """Returns the ids of the artifacts that an execution was given."""
    return {
        event.artifact_id
        for event in store.get_events_by_execution_ids([execution_id])
        if event.type == metadata_store_pb2.Event.INPUT
    }
