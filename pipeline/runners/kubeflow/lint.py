"""What Kubeflow would refuse in a compiled pipeline, or fail on in its containers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from pipeline.config_file import Problem
from pipeline.runners.kubeflow.checks import KUBEFLOW, PIPELINE_NAME

SCHEMA_VERSION = "2.1.0"

_TASK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,127}")
_TYPE_TITLE = re.compile(r"^title: [a-z][a-z0-9_-]{2,20}\.[A-Z][A-Za-z0-9_-]{2,49}$", re.MULTILINE)
_CONDITION_INPUT = re.compile(r"inputs\.artifacts\['([^']+)'\]")
_MAIN = re.compile(r"\b__main__\b")

Spec = dict[str, Any]


def spec_problems(source: str, spec: Spec, target: str) -> list[Problem]:
    """Checks a PipelineSpec.

    Args:
        source: the file that it will be in, for the messages.
        target: `kubeflow`, the open-source one, or `vertex`.
    """
    found = [
        *_header_problems(spec),
        *_parameter_problems(spec),
        *_condition_problems(spec),
        *_executor_problems(spec, target),
        *_type_problems(spec),
        *_text_problems(spec),
    ]
    return [Problem(source, key, what, allowed) for key, what, allowed in found]


_Found = Iterator[tuple[str, str, str]]


def _header_problems(spec: Spec) -> _Found:
    version = spec.get("schemaVersion")
    if version != SCHEMA_VERSION:
        yield "schemaVersion", repr(version), f"{SCHEMA_VERSION!r}, the only one that is accepted"
    name = spec.get("pipelineInfo", {}).get("name", "")
    if not PIPELINE_NAME.fullmatch(name):
        yield "pipelineInfo.name", repr(name), f"a text that matches {PIPELINE_NAME.pattern}"
    for task in spec["root"]["dag"]["tasks"]:
        if not _TASK_NAME.fullmatch(task):
            yield f"root.dag.tasks.{task}", repr(task), f"a text that matches {_TASK_NAME.pattern}"


def _parameter_problems(spec: Spec) -> _Found:
    """A run that is started by a schedule, or by a button, gives no values."""
    parameters = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    for name, definition in parameters.items():
        if "defaultValue" not in definition:
            yield f"root.inputDefinitions.parameters.{name}", "no defaultValue", "a default"


def _condition_problems(spec: Spec) -> _Found:
    """A condition sees the inputs of its task, and no more."""
    for name, task in spec["root"]["dag"]["tasks"].items():
        condition = task.get("triggerPolicy", {}).get("condition", "")
        for artifact in _CONDITION_INPUT.findall(condition):
            if artifact not in task["inputs"].get("artifacts", {}):
                key = f"root.dag.tasks.{name}.triggerPolicy.condition"
                yield key, f"the artifact {artifact!r}", "an input of the task"


def _executor_problems(spec: Spec, target: str) -> _Found:
    for name, executor in spec["deploymentSpec"]["executors"].items():
        key = f"deploymentSpec.executors.{name}"
        if "resolver" in executor and target == KUBEFLOW:
            yield key, "a resolver", "a container: open-source Kubeflow implements no resolver"
        if "container" in executor and not executor["container"].get("image"):
            yield f"{key}.container.image", "nothing", "an image"


def _type_problems(spec: Spec) -> _Found:
    """A container imports the type of an artifact by its title."""
    for name, component in spec["components"].items():
        for side in ("inputDefinitions", "outputDefinitions"):
            artifacts = component.get(side, {}).get("artifacts", {})
            for artifact, definition in artifacts.items():
                schema = definition["artifactType"].get("instanceSchema", "")
                if not _TYPE_TITLE.search(schema):
                    found = schema.partition("\n")[0] or "no instanceSchema"
                    key = f"components.{name}.{side}.artifacts.{artifact}"
                    yield key, found, "a type whose TYPE_NAME is package.Class"


def _text_problems(spec: Spec) -> _Found:
    """Checks that nothing leads to what is only on the machine that compiled."""
    folders = {gettempdir(), str(Path(gettempdir()).resolve())}
    for key, text in _texts(spec):
        if _MAIN.search(text):
            yield key, "something of __main__", "what a module has that the image can import"
        for folder in folders:
            if re.search(rf"(^|[\s\"'=:]){re.escape(folder)}/", text):
                yield key, f"a path under {folder}", "paths as the containers see them"
                break


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yields every text, and the JSON in texts as text, with the key that it is at."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(inner, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, f"{key}.{index}")
    elif isinstance(value, str):
        yield key, value
