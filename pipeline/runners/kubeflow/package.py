"""What `tapeline compile --target kubeflow` wrote, as far as submitting it needs to know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.config_file import ConfigError, Problem, load_config
from pipeline.run_folder import CONFIG_FILE
from pipeline.runners.kubeflow.checks import KUBEFLOW, VERTEX
from pipeline.runners.kubeflow.config import KubeflowConfig

FILES = {KUBEFLOW: "pipeline.yaml", VERTEX: "pipeline.json"}
"""The file that a target's pipeline is in."""

_KINDS = {
    "STRING": (str, "a text"),
    "NUMBER_INTEGER": (int, "an integer"),
    "NUMBER_DOUBLE": (float, "a number"),
    "BOOLEAN": (bool, "true or false"),
    "LIST": (list, "a list in YAML"),
    "STRUCT": (dict, "keys and values in YAML"),
}
"""What the API server takes for each type of a parameter."""


@dataclass(frozen=True)
class Package:
    """A compiled pipeline.

    Attributes:
        parameters: the specification of each runtime parameter.
        nodes: names of the tasks, as Kubeflow shows them.
    """

    file: Path
    name: str
    config: KubeflowConfig
    parameters: Mapping[str, Mapping[str, Any]]
    nodes: tuple[str, ...]

    def values(self, assignments: Iterable[str], *, scheduled: bool) -> dict[str, Any]:
        """Returns the values of `name=value` each, of the types that the server wants.

        Args:
            scheduled: whether Kubeflow puts times into texts such as [[ScheduledTime]].

        Raises:
            ConfigError: for a name or a value that the pipeline does not take, and for a parameter
                that has neither a value nor a default.
        """
        values = dict(self._value(text, scheduled) for text in assignments)
        for name, parameter in self.parameters.items():
            optional = parameter.get("isOptional") or "defaultValue" in parameter
            if name not in values and not optional:
                kind = _KINDS[parameter["parameterType"]][1]
                raise _problem(f"--parameter {name}", "nothing", f"{kind}: it has no default")
        return values

    def _value(self, text: str, scheduled: bool) -> tuple[str, Any]:
        name, equals, value = text.partition("=")
        if not equals or name not in self.parameters:
            found = f"the name {name}" if equals else "no name=value"
            known = ", ".join(self.parameters) or "none: the pipeline takes no parameters"
            raise _problem(f"--parameter {text}", found, known)
        kind, allowed = _KINDS[self.parameters[name]["parameterType"]]
        if kind is str:
            if "[[" in value and not scheduled:
                allowed = "a value; Kubeflow fills in such texts for `tapeline schedule` only"
                raise _problem(f"--parameter {name}", value, allowed)
            return name, value
        try:
            parsed = yaml.safe_load(value)
        except yaml.YAMLError:
            parsed = None
        if kind is float and type(parsed) is int:
            parsed = float(parsed)
        if type(parsed) is not kind:
            raise _problem(f"--parameter {name}", repr(value), allowed)
        return name, parsed


def read_package(folder: Path) -> Package:
    """Returns the pipeline in a folder.

    Raises:
        ConfigError: for a folder that no such pipeline was compiled into, or two different ones.
    """
    allowed = "a folder of `tapeline compile CONFIG --target kubeflow -o DIR`"
    file, config_file = folder / FILES[KUBEFLOW], folder / CONFIG_FILE
    try:
        documents = list(yaml.load_all(file.read_text(encoding="utf-8"), yaml.CSafeLoader))
        root = documents[0]["root"]
        parameters = root.get("inputDefinitions", {}).get("parameters", {})
        nodes = tuple(_task_names(documents[0]))
        name = documents[0]["pipelineInfo"]["name"]
        config_file.read_bytes()
    except (OSError, ValueError, LookupError, TypeError, AttributeError, yaml.YAMLError) as error:
        if (folder / FILES[VERTEX]).exists() and not file.exists():
            reason = f"{FILES[VERTEX]}, which Vertex AI takes"
        elif isinstance(error, OSError):
            reason = f"no {Path(str(error.filename)).name}"
        else:
            reason = f"{file.name}, which is no pipeline: {' '.join(str(error).split())}"
        raise ConfigError(Problem(str(folder), "DIR", reason, allowed)) from error
    config = load_config(str(config_file))
    if name != config.name:
        found = f"{file.name} of {name} with {CONFIG_FILE} of {config.name}"
        allowed = "files of one pipeline: run `tapeline compile` again"
        raise ConfigError(Problem(str(folder), "DIR", found, allowed))
    return Package(
        file=file.resolve(),
        name=config.name,
        config=config.orchestration.kubeflow,
        parameters=parameters,
        nodes=nodes,
    )


def _task_names(specification: Mapping[str, Any]) -> Iterator[str]:
    for component in (specification["root"], *specification.get("components", {}).values()):
        for key, task in component.get("dag", {}).get("tasks", {}).items():
            yield task.get("taskInfo", {}).get("name", key)


def _problem(key: str, found: str, allowed: str) -> ConfigError:
    return ConfigError(Problem("kubeflow", key, found, allowed))
