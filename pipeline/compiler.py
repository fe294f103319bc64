"""From the graph to the one compiled form that every runner starts from: TFX's IR."""

from __future__ import annotations

from google.protobuf import text_format
from tfx.dsl.compiler.compiler import Compiler
from tfx.proto.orchestration import pipeline_pb2

from pipeline.config import RunConfig
from pipeline.graph import build_pipeline
from pipeline.provenance.reasons import NEVER_CACHED
from trainer_module.tasks.base import Task


def compile_pipeline(config: RunConfig, task: Task, to_gate: bool = False) -> pipeline_pb2.Pipeline:
    """Returns the IR of a run, or of the part of it up to AnomalyGate.

    The Pusher is never taken from the cache: what it depends on besides its inputs is the serving
    directory, which others change too. It finds out itself that there is nothing to do.
    """
    ir = Compiler().compile(build_pipeline(config, task, to_gate))
    for node in ir.nodes:
        _name_inputs_once(node.pipeline_node)
        if node.pipeline_node.node_info.id in NEVER_CACHED:
            node.pipeline_node.execution_options.caching_options.enable_cache = False
    return ir


def _name_inputs_once(node: pipeline_pb2.PipelineNode) -> None:
    """Lets a node's condition look at an input that the node has anyway.

    The compiler gives it another input of the same artifact. ML Metadata keeps one name for an
    artifact that goes into an execution: of two it would be now this one, now that.
    """
    inputs = node.inputs.inputs
    for hidden in [name for name in inputs if name.startswith("_")]:
        channels = list(inputs[hidden].channels)
        same = [
            name
            for name in sorted(inputs)
            if name != hidden and list(inputs[name].channels) == channels
        ]
        if not same:
            continue
        for condition in node.inputs.conditionals.values():
            expression = condition.placeholder_expression
            text = text_format.MessageToString(expression)
            expression.Clear()
            text_format.Parse(text.replace(f'key: "{hidden}"', f'key: "{same[0]}"'), expression)
        del inputs[hidden]
