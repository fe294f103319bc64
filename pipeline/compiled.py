"""The compiled form of a pipeline: one folder that any scheduler runs nodes from.

    DIR/ir.json       TFX's intermediate representation, which says everything of each node
    DIR/graph.json    which nodes there are and what each waits for: all that a scheduler reads
    DIR/config.yaml   the resolved configuration

What a target needs besides lies beside them. The same configuration and code give the same bytes,
and no secret is among them: what connects to the metadata is found out when a node runs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pipeline.config import RunConfig
from pipeline.config_file import ConfigError, Problem, Source, dump_config, load_config
from pipeline.program import program
from pipeline.run_folder import CONFIG_FILE
from pipeline.runners.airflow.checks import airflow_problems
from pipeline.runners.airflow.files import airflow_files
from pipeline.runners.kubeflow.checks import kubeflow_problems
from serving.atomic_files import exclusive, replace_text

if TYPE_CHECKING:
    from trainer_module.tasks.base import Task

IR_FILE, GRAPH_FILE = "ir.json", "graph.json"
FORMAT = 1
"""Of graph.json; another one is compiled again."""

Target = Literal["local", "airflow", "kubeflow", "vertex"]
_RESOLVER = "tfx.dsl.components.common.resolver.Resolver"


@dataclass(frozen=True)
class Compiled:
    """What a folder holds.

    Attributes:
        graph: the content of graph.json.
        ir: TFX's Pipeline proto.
    """

    folder: Path
    config: RunConfig
    graph: Mapping[str, Any]
    ir: Any

    @property
    def nodes(self) -> list[str]:
        return [node["id"] for node in self.graph["nodes"]]


def target_problems(config: RunConfig, source: Source, target: Target) -> list[Problem]:
    """Checks that a target can run such a pipeline; imports neither TFX nor TensorFlow.

    Args:
        source: where the configuration came from, for the messages.
    """
    if target == "local":
        return []
    if target == "airflow":
        return airflow_problems(config, source)
    return kubeflow_problems(config, source, target)


def compiled_files(config: RunConfig, task: Task, target: Target) -> dict[str, str]:
    """Returns the files of the compiled form, their texts by their names.

    Args:
        config: one that has no `target_problems`.

    Raises:
        ConfigError: if the target cannot run what came out.
    """
    if target in ("kubeflow", "vertex"):
        from pipeline.runners.kubeflow.files import kubeflow_files

        return {CONFIG_FILE: dump_config(config), **kubeflow_files(config, task, target)}
    from pipeline.compiler import compile_pipeline

    ir = compile_pipeline(config, task)
    graph = _graph(config, ir, target)
    files = {CONFIG_FILE: dump_config(config), IR_FILE: ir_text(ir)}
    added: dict[str, str] = {}
    if target == "airflow":
        graph["airflow"] = config.orchestration.airflow.model_dump(mode="json")
        added = airflow_files(config.name)
    # What a scheduler looks for comes last: it reads the others.
    return {**files, GRAPH_FILE: json.dumps(graph, indent=1, sort_keys=True) + "\n", **added}


def write_compiled(files: Mapping[str, str], folder: Path) -> None:
    """Writes the files into a folder, each whole; one that has its text already is left alone."""
    with exclusive(folder, create=True):
        for name, text in files.items():
            replace_text(folder / name, text)


def read_compiled(folder: Path) -> Compiled:
    """Reads what `tapeline compile` wrote.

    Raises:
        ConfigError: if it is not such a folder, or not of this version's format.
    """
    allowed = "a folder that `tapeline compile` wrote for local or airflow"
    try:
        graph = json.loads((folder / GRAPH_FILE).read_text(encoding="utf-8"))
        text = (folder / IR_FILE).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        found = f"{error.strerror}" if isinstance(error, OSError) else f"{GRAPH_FILE}, no JSON"
        raise ConfigError(Problem(str(folder), "DIR", found, allowed)) from error
    if graph.get("format") != FORMAT:
        found = f"format {graph.get('format')}"
        allowed = f"{FORMAT}: run `tapeline compile` again"
        raise ConfigError(Problem(str(folder / GRAPH_FILE), "format", found, allowed))
    config = load_config(str(folder / CONFIG_FILE))
    return Compiled(folder.resolve(), config, graph, _parse_ir(text))


def ir_text(ir: Any) -> str:
    """Returns a Pipeline proto as JSON, the same text for the same pipeline."""
    from google.protobuf import json_format

    text: str = json_format.MessageToJson(
        ir, preserving_proto_field_name=True, sort_keys=True, indent=1
    )
    return text + "\n"


def _parse_ir(text: str) -> Any:
    # What an Any holds is known once its module is imported.
    import tfx.proto.orchestration.executable_spec_pb2
    import tfx.proto.orchestration.metadata_pb2  # noqa: F401
    from google.protobuf import json_format
    from tfx.proto.orchestration import pipeline_pb2

    return json_format.Parse(text, pipeline_pb2.Pipeline())


def _graph(config: RunConfig, ir: Any, target: Target) -> dict[str, Any]:
    from components.example_gen.component import AS_CONFIGURED, SPAN_PARAMETER

    return {
        "format": FORMAT,
        "pipeline": config.name,
        "target": target,
        "root": str(config.pipeline_root),
        "working_directory": os.getcwd(),
        "command": program(),
        "parameters": {SPAN_PARAMETER: AS_CONFIGURED},
        "nodes": [
            {
                "id": node.pipeline_node.node_info.id,
                "upstream": sorted(node.pipeline_node.upstream_nodes),
                "lookup": node.pipeline_node.node_info.type.name == _RESOLVER,
                "conditional": bool(node.pipeline_node.inputs.conditionals),
            }
            for node in ir.nodes
        ],
    }
