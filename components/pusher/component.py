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

from components.pusher.model_card import CardSettings, make_card, write_card
from serving.config import ServeConfig
from serving.servable_check import check_servable
from serving.versions import publish, read_manifest
from serving.warmup import warmup_sizes, write_warmup_requests
from trainer_module.reference import FILE_NAME as REFERENCE_FILE

_ROOT, _MODEL_NAME, _DATA, _SERVE = "serving_root", "model_name", "data", "serve"
_CARD = "card"
_RUN_ID = "run_id"
IS_NEW = "is_new"
"""Property of the pushed model: 1 if this run made the version, 0 if it was there already."""


class PusherSpec(component_spec.ComponentSpec):
    """Inputs as TFX's Pusher has them, the model run, and what the model card tells of.

    The model run holds the reference answers.
    """

    PARAMETERS = {
        _ROOT: component_spec.ExecutionParameter(type=str),
        _MODEL_NAME: component_spec.ExecutionParameter(type=str),
        _DATA: component_spec.ExecutionParameter(type=str),
        _SERVE: component_spec.ExecutionParameter(type=str),
        _CARD: component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {
        specs.MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model),
        specs.MODEL_BLESSING_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.ModelBlessing
        ),
        specs.MODEL_RUN_KEY: component_spec.ChannelParameter(type=standard_artifacts.ModelRun),
        specs.EVALUATION_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.ModelEvaluation, optional=True
        ),
        specs.SCHEMA_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.Schema, optional=True
        ),
        specs.STATISTICS_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.ExampleStatistics, optional=True
        ),
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
        inputs = {
            role: artifact_utils.get_single_instance(found)
            for role, found in sorted(input_dict.items())
            if found
        }
        model = inputs[specs.MODEL_KEY]
        reference = Path(inputs[specs.MODEL_RUN_KEY].uri, REFERENCE_FILE)
        config = ServeConfig.model_validate_json(exec_properties[_SERVE])
        name, data = exec_properties[_MODEL_NAME], json.loads(exec_properties[_DATA])
        run_id, execution_id = self._execution()

        def complete(folder: Path, digest: str) -> None:
            write_warmup_requests(folder, reference, warmup_sizes(config.batching), name)
            settings = exec_properties.get(_CARD)
            card = make_card(
                name,
                digest,
                folder,
                data,
                CardSettings.model_validate_json(settings) if settings else None,
                inputs,
                run_id,
                execution_id,
            )
            write_card(folder, card)

        publication = publish(
            saved_model=Path(self.GetModelPath(input_dict)),
            root=Path(exec_properties[_ROOT]),
            model_name=name,
            config=config,
            manifest={
                "data": data,
                "model_artifact_id": model.id,
                "model_uri": model.uri,
                _RUN_ID: run_id,
            },
            check=lambda folder: check_servable(folder, reference, config.tolerance),
            complete=complete,
        )
        self._MarkPushed(
            pushed,
            pushed_destination=str(publication.folder),
            pushed_version=publication.folder.name,
        )
        # This run may have made it before it was killed.
        is_own = run_id is not None and read_manifest(publication.folder).get(_RUN_ID) == run_id
        pushed.set_int_custom_property(IS_NEW, int(publication.is_new or is_own))

    def _execution(self) -> tuple[str | None, int | None]:
        """Returns the ids of the run and of this execution in ML Metadata."""
        context = self._context
        if context is None:
            return None, None
        # TFX has no other way to it. Where it is no number there is no ML Metadata of ours.
        unique_id = str(context._unique_id)
        return context.pipeline_run_id, int(unique_id) if unique_id.isdecimal() else None


class Pusher(base_component.BaseComponent):
    """Pushes `model` to `<serving root>/<model name>/<version>` if `model_blessing` says so.

    Runs even when nothing before it did: it compares the model with what is served, which no
    cache knows, and leaves a version that is there already alone.

    Args:
        data: plain JSON about the data, for the version's manifest and model card.
        card: what else the model card tells; None for a model that no configuration made.
        evaluation, schema, statistics: that the model card tells of, where there are such.
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
        card: CardSettings | None = None,
        evaluation: channel.BaseChannel | None = None,
        schema: channel.BaseChannel | None = None,
        statistics: channel.BaseChannel | None = None,
    ) -> None:
        super().__init__(
            spec=PusherSpec(
                model=model,
                model_blessing=model_blessing,
                model_run=model_run,
                evaluation=evaluation,
                schema=schema,
                statistics=statistics,
                serving_root=serving_root,
                model_name=model_name,
                data=json.dumps(data),
                serve=serve.model_dump_json(),
                card=card.model_dump_json() if card else None,
                pushed_model=channel.Channel(type=standard_artifacts.PushedModel),
            )
        )
