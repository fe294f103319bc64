"""From the graph to the one compiled form that every runner starts from: TFX's IR."""

from __future__ import annotations

from tfx.dsl.compiler.compiler import Compiler
from tfx.proto.orchestration import pipeline_pb2

from pipeline.config import RunConfig
from pipeline.graph import build_pipeline
from trainer_module.tasks.base import Task

_NEVER_CACHED = ("Pusher",)


def compile_pipeline(config: RunConfig, task: Task, to_gate: bool = False) -> pipeline_pb2.Pipeline:
    """Returns the IR of a run, or of the part of it up to AnomalyGate.

    The Pusher is never taken from the cache: what it depends on besides its inputs is the serving
    directory, which others change too. It finds out itself that there is nothing to do.
    """
    ir = Compiler().compile(build_pipeline(config, task, to_gate))
    for node in ir.nodes:
        if node.pipeline_node.node_info.id in _NEVER_CACHED:
            node.pipeline_node.execution_options.caching_options.enable_cache = False
    return ir
