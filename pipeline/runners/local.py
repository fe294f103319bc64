"""Runs a compiled pipeline in this process: TFX's BeamDagRunner, telling what each node does."""

from __future__ import annotations

import json
import time
from typing import Any

from tfx.dsl.compiler import constants
from tfx.orchestration import metadata
from tfx.orchestration.beam import beam_dag_runner
from tfx.orchestration.portable import runtime_parameter_utils

from components.anomaly_gate.verdict import AnomaliesFound
from components.example_gen.source import DataError
from pipeline.lineage import Lineage
from trainer_module.progress import emit
from trainer_module.stopping import Interrupted

VERDICT = "verdict"
"""Property of an execution of the gate that stopped the run: what it found, as JSON."""


class _ReportingNode(beam_dag_runner.PipelineNodeAsDoFn):
    """A node that emits `node_begin`, then `node_end` with its state, or `node_failed`."""

    def _run_node(self) -> None:
        node, began = self._node_id, time.monotonic()
        emit("node_begin", node=node)
        try:
            super()._run_node()
        except BaseException as error:
            if isinstance(error, AnomaliesFound):
                # A failed execution has no output to hold it.
                with metadata.Metadata(self._mlmd_connection_config) as handle:
                    self._lineage(handle).note(node, VERDICT, json.dumps(error.verdict))
            emit(
                "node_failed",
                node=node,
                seconds=time.monotonic() - began,
                cause=str(error) if isinstance(error, DataError) else one_line(error),
                interrupted=isinstance(error, KeyboardInterrupt),
                stopped=isinstance(error, Interrupted),
                verdict=error.verdict if isinstance(error, AnomaliesFound) else None,
            )
            raise
        with metadata.Metadata(self._mlmd_connection_config) as handle:
            state = self._lineage(handle).node_state(node)
        emit("node_end", node=node, seconds=time.monotonic() - began, state=state)

    def _lineage(self, handle: metadata.Metadata) -> Lineage:
        run_id = self._pipeline_runtime_spec.pipeline_run_id.field_value.string_value
        return Lineage(handle.store, self._pipeline_info.id, run_id)


class LocalRunner(beam_dag_runner.BeamDagRunner):
    """BeamDagRunner under a run id that the caller chooses."""

    _PIPELINE_NODE_DO_FN_CLS = _ReportingNode

    def run_compiled(self, ir: Any, run_id: str) -> None:
        """Runs every node of the IR in order.

        Raises:
            Exception: what the first failing node raised, wrapped by Beam; nodes after it do not
                run.
        """
        runtime_parameter_utils.substitute_runtime_parameter(
            ir, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id}
        )
        self.run_with_ir(ir)


def one_line(error: BaseException) -> str:
    """Returns the innermost cause of an error in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no message"]
    # TensorFlow opens the errors of traced functions so, and says what is wrong at the end.
    text = lines[-1] if lines[0] == "in user code:" else lines[0]
    return f"{type(error).__name__}: {text if len(text) <= 300 else text[:297] + '...'}"
