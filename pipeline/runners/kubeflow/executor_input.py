"""What Kubeflow tells a container of its task, made into what TFX's executors can read.

The launcher of open-source Kubeflow copies artifacts to local folders and names them by their
remote URIs all the same; of the types of input artifacts it passes on nothing. Everything here is
plain JSON, in and out: `ExecutorInput` and `ExecutorOutput` of Kubeflow's pipeline specification.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from components.lookups.absence import ABSENT

FOLDERS = {"minio": "minio", "s3": "s3", "gs": "gcs"}
"""Where the launcher, and Vertex' mounts, keep the objects of each scheme, by scheme."""

Json = dict[str, Any]


def local_path(uri: str, staging: str) -> str:
    """Returns where an object is on this machine; what has no known scheme stays as it is.

    Args:
        staging: the folder of the folders of all schemes; "" is that of the file system.
    """
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme not in FOLDERS:
        return uri
    return f"{staging}/{FOLDERS[scheme]}/{rest}"


def remote_uri(path: str, staging: str) -> str:
    """Returns the URI of what `local_path` gave the path of."""
    for scheme, folder in FOLDERS.items():
        prefix = f"{staging}/{folder}/"
        if path.startswith(prefix):
            return f"{scheme}://{path.removeprefix(prefix)}"
    return path


def localized(executor_input: Json, inputs_spec: Json, staging: str) -> Json:
    """Returns an ExecutorInput with local paths, types for all artifacts, and none that is absent.

    Args:
        inputs_spec: the component's ComponentInputsSpec, which says what types its inputs have.
    """
    result = copy.deepcopy(executor_input)
    inputs = result.get("inputs", {}).get("artifacts", {})
    specs = inputs_spec.get("artifacts", {})
    for key, found in inputs.items():
        there = [artifact for artifact in found.get("artifacts", []) if not _is_absent(artifact)]
        found["artifacts"] = there
        for artifact in there:
            artifact["type"] = specs[key]["artifactType"]
    names: dict[str, str] = {}
    for artifact in _artifacts(result):
        # TFX tells artifacts apart by their names.
        name = artifact.get("name") or artifact["uri"]
        if names.setdefault(name, artifact["uri"]) != artifact["uri"]:
            name = artifact["uri"]
        artifact["name"] = name
        artifact["uri"] = local_path(artifact["uri"], staging)
    outputs = result["outputs"]
    outputs["outputFile"] = local_path(outputs["outputFile"], staging)
    return result


def with_driven(executor_input: Json, driven: Json) -> Json:
    """Returns an ExecutorInput with what a driver found: parameters, and metadata of outputs.

    Args:
        driven: an ExecutorOutput.
    """
    result = copy.deepcopy(executor_input)
    result["inputs"].setdefault("parameterValues", {}).update(driven["parameterValues"])
    for key, found in driven["artifacts"].items():
        for artifact, told in zip(
            result["outputs"]["artifacts"][key]["artifacts"], found["artifacts"], strict=True
        ):
            artifact.setdefault("metadata", {}).update(told["metadata"])
    return result


def delocalized(executor_output: Json, staging: str) -> Json:
    """Returns an ExecutorOutput with the URIs that the launcher knows."""
    result = copy.deepcopy(executor_output)
    for found in result.get("artifacts", {}).values():
        for artifact in found.get("artifacts", []):
            artifact["uri"] = remote_uri(artifact["uri"], staging)
    return result


def _is_absent(artifact: Json) -> bool:
    return bool((artifact.get("metadata") or {}).get(ABSENT))


def _artifacts(executor_input: Json) -> Iterator[Json]:
    """Yields every artifact, of the inputs and of the outputs."""
    for side in ("inputs", "outputs"):
        for found in executor_input.get(side, {}).get("artifacts", {}).values():
            yield from found.get("artifacts", [])
