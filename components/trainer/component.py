"""The Trainer component: TFX's, given the raw examples too.

The export is held to the answers of the model in memory on raw examples, and only the process
that trained has that model. TFX's Trainer gets the transformed examples alone.
"""

from __future__ import annotations

from typing import Any

from tfx.components.trainer import executor as tfx_executor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto import trainer_pb2
from tfx.types import artifact_utils, channel, component_spec, standard_artifacts
from tfx.types import standard_component_specs as specs
from tfx.utils import io_utils, json_utils

from trainer_module.config import TrainerSettings
from trainer_module.run_fn import RAW_EXAMPLES, RUN_ID

_RUN_FN = "trainer_module.run_fn.run_fn"
_EVAL_SPLIT = "eval"


class TrainerSpec(specs.TrainerSpec):
    """TFX's specification with one more input."""

    INPUTS = {
        **specs.TrainerSpec.INPUTS,
        RAW_EXAMPLES: component_spec.ChannelParameter(type=standard_artifacts.Examples),
    }


class Executor(tfx_executor.GenericExecutor):
    """Calls `run_fn` with the files of the raw eval split, and the run's id, in `custom_config`."""

    def _GetFnArgs(  # noqa: N802  TFX's name
        self,
        input_dict: dict[str, list[Any]],
        output_dict: dict[str, list[Any]],
        exec_properties: dict[str, Any],
    ) -> Any:
        fn_args = super()._GetFnArgs(input_dict, output_dict, exec_properties)
        uris = artifact_utils.get_split_uris(input_dict[RAW_EXAMPLES], _EVAL_SPLIT)
        fn_args.custom_config[RAW_EXAMPLES] = [io_utils.all_files_pattern(uri) for uri in uris]
        if self._context is not None:
            fn_args.custom_config[RUN_ID] = self._context.pipeline_run_id
        return fn_args


class Trainer(base_component.BaseComponent):
    """Trains on `examples`, transformed, and exports a model that takes `raw_examples`."""

    SPEC_CLASS = TrainerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: channel.BaseChannel,
        raw_examples: channel.BaseChannel,
        transform_graph: channel.BaseChannel,
        schema: channel.BaseChannel,
        settings: TrainerSettings,
        base_model: channel.BaseChannel | None = None,
    ) -> None:
        spec = TrainerSpec(
            **{RAW_EXAMPLES: raw_examples},
            examples=examples,
            transform_graph=transform_graph,
            schema=schema,
            base_model=base_model,
            train_args=trainer_pb2.TrainArgs(splits=["train"]),
            eval_args=trainer_pb2.EvalArgs(splits=[_EVAL_SPLIT]),
            run_fn=_RUN_FN,
            custom_config=json_utils.dumps(settings.model_dump(mode="json")),
            model=channel.Channel(type=standard_artifacts.Model),
            model_run=channel.Channel(type=standard_artifacts.ModelRun),
        )
        super().__init__(spec=spec)
