"""The Pusher component: pushes atomically what is blessed and proved servable.

TFX's own copies files into the version folder one by one, where a server that polls can see half
of them, and keeps every version for ever.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tfx.components.pusher import executor as tfx_executor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import artifact_utils, channel, component_spec, standard_artifacts
from tfx.types import standard_component_specs as specs

from serving.config import ServeConfig
from serving.servable_check import check_servable
from serving.versions import publish
from trainer_module.reference import FILE_NAME as REFERENCE_FILE

_ROOT, _MODEL_NAME, _DATA, _SERVE = "serving_root", "model_name", "data", "serve"
IS_NEW = "is_new"
"""Property of the pushed model: 1 if this push made the version, 0 if it was there already."""


class PusherSpec(component_spec.ComponentSpec):
    """Inputs as TFX's Pusher has them, and the model run, which holds the reference answers."""

    PARAMETERS = {
        _ROOT: component_spec.ExecutionParameter(type=str),
        _MODEL_NAME: component_spec.ExecutionParameter(type=str),
        _DATA: component_spec.ExecutionParameter(type=str),
        _SERVE: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        specs.MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model),
        specs.MODEL_BLESSING_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.ModelBlessing
        ),
        specs.MODEL_RUN_KEY: component_spec.ChannelParameter(type=standard_artifacts.ModelRun),
    }
    OUTPUTS = {
        specs.PUSHED_MODEL_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.PushedModel
        ),
    }


class Executor(tfx_executor.Executor):
    """Pushes if the model is blessed and the exported model answers as the trained one did."""

    def Do(  # noqa: N802  TFX's name
        self,
        input_dict: dict[str, list[Any]],
        output_dict: dict[str, list[Any]],
        exec_properties: dict[str, Any],
    ) -> None:
        self._log_startup(input_dict, output_dict, exec_properties)
        pushed = artifact_utils.get_single_instance(output_dict[specs.PUSHED_MODEL_KEY])
        if not self.CheckBlessing(input_dict):
            self._MarkNotPushed(pushed)
            return
        model = artifact_utils.get_single_instance(input_dict[specs.MODEL_KEY])
        model_run = artifact_utils.get_single_uri(input_dict[specs.MODEL_RUN_KEY])
        reference = Path(model_run, REFERENCE_FILE)
        config = ServeConfig.model_validate_json(exec_properties[_SERVE])
        publication = publish(
            saved_model=Path(self.GetModelPath(input_dict)),
            root=Path(exec_properties[_ROOT]),
            model_name=exec_properties[_MODEL_NAME],
            config=config,
            manifest={
                "data": json.loads(exec_properties[_DATA]),
                "model_artifact_id": model.id,
                "model_uri": model.uri,
            },
            check=lambda folder: check_servable(folder, reference, config.tolerance),
        )
        self._MarkPushed(
            pushed,
            pushed_destination=str(publication.folder),
            pushed_version=publication.folder.name,
        )
        pushed.set_int_custom_property(IS_NEW, int(publication.is_new))


class Pusher(base_component.BaseComponent):
    """Pushes `model` to `<serving root>/<model name>/<version>` if `model_blessing` says so.

    Runs even when nothing before it did: it compares the model with what is served, which no
    cache knows, and leaves a version that is there already alone.

    Args:
        data: plain JSON about the data, for the version's manifest.
    """

    SPEC_CLASS = PusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: channel.BaseChannel,
        model_blessing: channel.BaseChannel,
        model_run: channel.BaseChannel,
        serving_root: str,
        model_name: str,
        data: dict[str, Any],
        serve: ServeConfig,
    ) -> None:
        super().__init__(
            spec=PusherSpec(
                model=model,
                model_blessing=model_blessing,
                model_run=model_run,
                serving_root=serving_root,
                model_name=model_name,
                data=json.dumps(data),
                serve=serve.model_dump_json(),
                pushed_model=channel.Channel(type=standard_artifacts.PushedModel),
            )
        )
