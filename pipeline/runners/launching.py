"""Launches one node of a compiled pipeline: what every runner of ours does with each of its nodes.

The launcher is TFX's, so that inputs, conditions, resolvers and caching are the same wherever the
node runs. A node that a run has finished is not launched again, and one that was killed starts
from clean folders, under the execution that it had.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration.local import runner_utils

from components.anomaly_gate.verdict import AnomaliesFound
from pipeline.collection.missing import MISSING, fault_of
from pipeline.leftovers import remove_outputs, remove_system
from pipeline.lineage import EARLIER, SKIPPED, Lineage
from pipeline.metadata.opening import metadata_cause
from pipeline.metadata.store import open_store, store_handle
from pipeline.runners.causes import cause_of, one_line
from pipeline.runners.launcher import Launcher
from trainer_module.progress import emit
from trainer_module.stopping import Interrupted

if TYPE_CHECKING:
    from pipeline.config import RunConfig

VERDICT = "verdict"
"""Property of an execution of the gate that stopped the run: what it found, as JSON."""

_Artifact = metadata_store_pb2.Artifact
_Execution = metadata_store_pb2.Execution


class InputsMissing(Exception):
    """A node whose inputs are not there: what should have put them out did not."""


def launch_node(ir: Any, node_id: str, config: RunConfig) -> str:
    """Launches a node in this process; emits `node_begin`, then `node_end` or `node_failed`.

    Args:
        ir: TFX's Pipeline proto, its runtime parameters substituted.
        config: that it was compiled from.

    Returns:
        `done`, `cached`, `earlier` if this run had finished it already, or `skipped` if a condition
        is false.

    Raises:
        InputsMissing: if what comes before did not put out what the node needs.
        Exception: what the node's driver or executor raises.
    """
    began = time.monotonic()
    emit("node_begin", node=node_id)
    run_id = ir.runtime_spec.pipeline_run_id.field_value.string_value
    try:
        state = _launch(ir, node_id, config, run_id)
    except BaseException as error:
        _note_failure(config, run_id, node_id, error)
        emit(
            "node_failed",
            node=node_id,
            seconds=time.monotonic() - began,
            cause=cause_of(error, config),
            interrupted=isinstance(error, KeyboardInterrupt),
            stopped=isinstance(error, Interrupted),
            verdict=error.verdict if isinstance(error, AnomaliesFound) else None,
        )
        raise
    emit("node_end", node=node_id, seconds=time.monotonic() - began, state=state)
    return state


def _launch(ir: Any, node_id: str, config: RunConfig, run_id: str) -> str:
    node_folder = Path(ir.runtime_spec.pipeline_root.field_value.string_value, node_id)
    with open_store(config) as handle:
        lineage = Lineage(handle.store, config.name, run_id)
        execution = lineage.execution(node_id)
        # What an attempt that was killed left, whether before or after it had finished.
        remove_system(node_folder)
        afresh = _is_finished(execution) and _forget_vanished(handle.store, lineage, node_id)
        if _is_finished(execution) and not afresh:
            return EARLIER
        if execution is not None and not afresh:
            remove_outputs(node_folder, execution.id)
            # The launcher takes it up again as it is; if it is killed once more, this tells.
            execution.last_known_state = _Execution.RUNNING
            handle.store.put_executions([execution])
    try:
        _make_launcher(ir, node_id, config, afresh).launch()
    except SystemExit as exit_:
        # Else the process would end with the code of something else: 0 is that of success.
        raise RuntimeError(f"the code of {node_id} called sys.exit({exit_.code!r})") from exit_
    remove_system(node_folder)
    with open_store(config) as handle:
        execution = Lineage(handle.store, config.name, run_id).execution(node_id)
        if execution is None:
            return SKIPPED
        if not _is_finished(execution):
            # The launcher says so in the log alone.
            raise InputsMissing(_missing(ir, node_id, Lineage(handle.store, config.name, run_id)))
        return Lineage(handle.store, config.name, run_id).node_state(node_id)


def _forget_vanished(store: Any, lineage: Lineage, node_id: str) -> bool:
    """Forgets what a finished node put out, if a part is gone; returns whether that is so.

    All of it: the node runs again, and whoever takes it in would be given what is left of the old
    beside the new. What other nodes have made of it holds: it is in folders of their own.
    """
    outputs = lineage.outputs(node_id)
    new = [
        artifact.uri
        for artifact in outputs
        if artifact.state == _Artifact.LIVE and fault_of(artifact) is not None
    ]
    if not new and all(artifact.state == _Artifact.LIVE for artifact in outputs):
        return False
    for artifact in outputs:
        artifact.state = _Artifact.DELETED
        # Nor may it come back.
        if MISSING in artifact.custom_properties:
            del artifact.custom_properties[MISSING]
    store.put_artifacts(outputs)
    # Of what the run found gone when it began it has told then.
    if new:
        emit("warning", text=f"{new[0]}: it is gone; {node_id}, which made it, runs again")
    return True


def _missing(ir: Any, node_id: str, lineage: Lineage) -> str:
    """Says what a node lacks that was not given its inputs."""
    unfinished = [
        name
        for name in _node(ir, node_id).upstream_nodes
        if not _is_finished(lineage.execution(name))
    ]
    if unfinished:
        return f"{', '.join(unfinished)} did not end well in this run: run that first"
    return "what earlier nodes of this run put out is gone"


def _is_finished(execution: Any | None) -> bool:
    done = (_Execution.COMPLETE, _Execution.CACHED)
    return execution is not None and execution.last_known_state in done


def _node(ir: Any, node_id: str) -> Any:
    (node,) = [
        found.pipeline_node for found in ir.nodes if found.pipeline_node.node_info.id == node_id
    ]
    return node


def _make_launcher(ir: Any, node_id: str, config: RunConfig, afresh: bool) -> Launcher:
    deployment = runner_utils.extract_local_deployment_config(ir)
    return Launcher(
        afresh,
        pipeline_node=_node(ir, node_id),
        mlmd_connection=store_handle(config),
        pipeline_info=ir.pipeline_info,
        pipeline_runtime_spec=ir.runtime_spec,
        executor_spec=runner_utils.extract_executor_spec(deployment, node_id),
        custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, node_id),
    )


def _note_failure(config: RunConfig, run_id: str, node_id: str, error: BaseException) -> None:
    """Ends the execution in the books, where the launcher did not, and keeps the gate's verdict."""
    if metadata_cause(error, config) is not None:
        return
    try:
        with open_store(config) as handle:
            lineage = Lineage(handle.store, config.name, run_id)
            execution = lineage.execution(node_id)
            if execution is None:
                return
            if execution.last_known_state in (_Execution.NEW, _Execution.RUNNING):
                execution.last_known_state = _Execution.FAILED
            if isinstance(error, AnomaliesFound):
                # A failed execution has no output to hold it.
                execution.custom_properties[VERDICT].string_value = json.dumps(error.verdict)
            handle.store.put_executions([execution])
    except Exception as unreachable:
        # What failed is to be told, not that it could not be noted; the next run ends it.
        emit("warning", text=f"the metadata could not be told of it: {one_line(unreachable)}")
