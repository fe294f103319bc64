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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pipeline.config import RunConfig
from pipeline.config_file import ConfigError, Problem, Source, dump_config, load_config
from pipeline.program import program
from pipeline.run_folder import CONFIG_FILE
from pipeline.runners.airflow.checks import airflow_problems
from pipeline.runners.airflow.files import DAG_SUFFIX, airflow_files
from pipeline.runners.kubeflow.checks import kubeflow_problems
from pipeline.runners.kubeflow.package import FILES
from serving.atomic_files import exclusive, replace_text, sync_folder

if TYPE_CHECKING:
    from trainer_module.tasks.base import Task

IR_FILE, GRAPH_FILE = "ir.json", "graph.json"
FORMAT = 1
"""Of graph.json; another one is compiled again."""

_GRAPH_KEYS = ("pipeline", "root", "working_directory", "parameters", "nodes")
_AGAIN = "run `tapeline compile` again"
_WHOLE = f"what `tapeline compile` wrote, whole: {_AGAIN}"

_MARKS = {
    IR_FILE: "components.anomaly_gate.",
    GRAPH_FILE: '"working_directory"',
    **dict.fromkeys(FILES.values(), "pipeline.runners.kubeflow.entrypoint"),
    f"*{DAG_SUFFIX}": "A pipeline of Tapeline's as a DAG",
}
"""What is in a file of a compiled folder, and hardly in another of its name, by that name."""

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


def write_compiled(files: Mapping[str, str], folder: Path) -> list[str]:
    """Writes the files into a folder, each whole; one that has its text already is left alone.

    What an earlier compilation left there besides would go with a configuration that is not its
    own, and is removed first.

    Returns:
        The names of what was removed.
    """
    with exclusive(folder, create=True):
        stale = [path for path in _compiled_in(folder) if path.name not in files]
        for path in stale:
            path.unlink()
        if stale:
            sync_folder(folder)
        for name, text in files.items():
            replace_text(folder / name, text)
    return [path.name for path in stale]


def _compiled_in(folder: Path) -> list[Path]:
    """Returns the files that `tapeline compile` wrote into a folder, but for the configuration."""
    return [
        path
        for pattern, mark in _MARKS.items()
        for path in sorted(folder.glob(pattern))
        if path.is_file() and mark in path.read_text(encoding="utf-8", errors="replace")
    ]


def read_compiled(folder: Path) -> Compiled:
    """Reads what `tapeline compile` wrote.

    Raises:
        ConfigError: if it is not such a folder, or is damaged, or not of this version's format.
    """
    graph = _read_graph(folder)
    config = load_config(str(folder / CONFIG_FILE))
    if graph["pipeline"] != config.name:
        found = f"{GRAPH_FILE} of {graph['pipeline']} with {CONFIG_FILE} of {config.name}"
        raise ConfigError(Problem(str(folder), "DIR", found, f"files of one pipeline: {_AGAIN}"))
    return Compiled(folder.resolve(), config, graph, _read_ir(folder))


def ir_text(ir: Any) -> str:
    """Returns a Pipeline proto as JSON, the same text for the same pipeline."""
    from google.protobuf import json_format

    text: str = json_format.MessageToJson(
        ir, preserving_proto_field_name=True, sort_keys=True, indent=1
    )
    return text + "\n"


def _read(folder: Path, name: str, parse: Callable[[str], Any]) -> Any:
    """Returns what a file of a compiled folder holds.

    Args:
        parse: raises ValueError for what is no such text.
    """
    try:
        return parse((folder / name).read_text(encoding="utf-8"))
    except OSError as error:
        allowed = "a folder that `tapeline compile` wrote for local or airflow"
        found = f"{name}: {error.strerror}"
        raise ConfigError(Problem(str(folder), "DIR", found, allowed)) from error
    except ValueError as error:
        found = " ".join(str(error).split())
        raise ConfigError(Problem(str(folder / name), "(file)", found, _WHOLE)) from error


def _read_graph(folder: Path) -> dict[str, Any]:
    graph = _read(folder, GRAPH_FILE, json.loads)
    path = str(folder / GRAPH_FILE)
    if not isinstance(graph, dict):
        raise ConfigError(Problem(path, "(file)", f"a {type(graph).__name__}", _WHOLE))
    if graph.get("format") != FORMAT:
        allowed = f"{FORMAT}: {_AGAIN}"
        raise ConfigError(Problem(path, "format", f"format {graph.get('format')}", allowed))
    missing = [key for key in _GRAPH_KEYS if key not in graph]
    if missing:
        raise ConfigError(Problem(path, missing[0], "nothing", _WHOLE))
    return graph


def _read_ir(folder: Path) -> Any:
    # What an Any holds is known once its module is imported.
    import tfx.proto.orchestration.executable_spec_pb2
    import tfx.proto.orchestration.metadata_pb2  # noqa: F401
    from google.protobuf import json_format
    from tfx.proto.orchestration import pipeline_pb2

    def parse(text: str) -> Any:
        try:
            return json_format.Parse(text, pipeline_pb2.Pipeline())
        except json_format.ParseError as error:
            raise ValueError(str(error)) from error

    return _read(folder, IR_FILE, parse)


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
