"""Runs a compiled pipeline in this process, by TFX's BeamDagRunner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tfx.dsl.compiler import constants
from tfx.orchestration.beam import beam_dag_runner
from tfx.orchestration.portable import runtime_parameter_utils

from pipeline.runners.launching import launch_node

if TYPE_CHECKING:
    from pipeline.config import RunConfig


class _Node(beam_dag_runner.PipelineNodeAsDoFn):
    """A node; in the place of a connection it has the configuration, which holds no password."""

    def _run_node(self) -> None:
        launch_node(self._pipeline, self._node_id, self._mlmd_connection_config)


class LocalRunner(beam_dag_runner.BeamDagRunner):
    """BeamDagRunner under a run id that the caller chooses."""

    _PIPELINE_NODE_DO_FN_CLS = _Node
    _config: RunConfig

    def run_compiled(
        self, ir: Any, run_id: str, config: RunConfig, parameters: Mapping[str, str]
    ) -> None:
        """Runs every node of the IR in order.

        Raises:
            Exception: what the first failing node raised, wrapped by Beam; nodes after it do not
                run.
        """
        self._config = config
        substitute(ir, run_id, parameters)
        self.run_with_ir(ir)

    def _connection_config_from_deployment_config(self, _deployment_config: Any) -> RunConfig:
        return self._config


def substitute(ir: Any, run_id: str, parameters: Mapping[str, str]) -> None:
    """Puts the run's id and the values of the runtime parameters into the IR."""
    bindings = {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id, **parameters}
    runtime_parameter_utils.substitute_runtime_parameter(ir, bindings)
