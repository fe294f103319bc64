"""Looks the last blessed model up in the serving directory."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, channel, component_spec, standard_artifacts
from tfx.types import standard_component_specs as specs
from tfx.utils import path_utils

from components.lookups.absence import mark_absent
from serving.version_folders import content_digest, is_complete, read_manifest, versions

CANDIDATE = "candidate"
VERSION = "version"
"""Property of the model: the version that it is served as."""
_FOLDER = "folder"


class ServedModelSpec(component_spec.ComponentSpec):
    """Inputs and parameters of ServedModel."""

    PARAMETERS = {_FOLDER: component_spec.ExecutionParameter(type=str)}
    INPUTS = {
        CANDIDATE: component_spec.ChannelParameter(type=standard_artifacts.Model, optional=True)
    }
    OUTPUTS = {specs.MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model)}


class Executor(base_executor.BaseExecutor):
    """Puts out a copy of the newest version that is another model than the candidate.

    A copy, since the version may be retired while others still read the artifact.
    """

    def Do(  # noqa: N802  TFX's name
        self,
        input_dict: dict[str, list[Any]],
        output_dict: dict[str, list[Any]],
        exec_properties: dict[str, Any],
    ) -> None:
        self._log_startup(input_dict, output_dict, exec_properties)
        output = artifact_utils.get_single_instance(output_dict[specs.MODEL_KEY])
        candidates = {
            content_digest(Path(path_utils.serving_model_path(found.uri)))
            for found in input_dict.get(CANDIDATE) or ()
        }
        version = newest_other(Path(exec_properties[_FOLDER]), candidates)
        if version is None:
            mark_absent(output)
            return
        shutil.copytree(version, path_utils.serving_model_dir(output.uri), dirs_exist_ok=True)
        output.set_string_custom_property(VERSION, version.name)


class ServedModel(base_component.BaseComponent):
    """The last model that was blessed and pushed: what is in the serving directory was both.

    Args:
        folder: of the model's version folders.
        candidate: a model that does not count: one that is compared with what was before it.
    """

    SPEC_CLASS = ServedModelSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, folder: str, candidate: channel.BaseChannel | None = None) -> None:
        super().__init__(
            spec=ServedModelSpec(
                folder=folder,
                candidate=candidate,
                model=channel.Channel(type=standard_artifacts.Model),
            )
        )


def newest_other(folder: Path, digests: set[str]) -> Path | None:
    """Returns the newest version whose model has none of the digests; None if there is none."""
    for version in reversed(versions(folder)):
        path = folder / str(version)
        if is_complete(path) and read_manifest(path).get("digest") not in digests:
            return path
    return None
