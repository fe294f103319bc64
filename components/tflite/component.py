"""The TFLiteExport component: a blessed model as TF Lite files, each held to the model's answers.

It reads the raw examples, which the model's own Transform graph turns into features: Transform
writes no test split, and an artifact that it wrote would say nothing of what the model serves with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfx.components.util import model_utils
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact, artifact_utils, channel, component_spec, standard_artifacts
from tfx.types import standard_component_specs as specs
from tfx.utils import path_utils

from components import artifact_types
from serving.lite.config import LiteConfig
from serving.lite.export import export_lite
from serving.lite.job import Job, LiteExportFailed
from serving.lite.metrics import Metric
from serving.lite.table import table_lines

LITE_MODELS = "lite_models"
_MODEL_NAME, _LITE, _METRICS, _LABELS, _CODE = "model_name", "lite", "metrics", "labels", "code"

EXPORTED = "exported"
"""Property of the output: 1 if there was a blessed model to export, else 0."""

ACCEPTED = "accepted"
"""Property of the output: the accepted variants, with a comma between two."""


class LiteModels(artifact.Artifact):
    """A folder of `<variant>.tflite` and the report on them, `lite.json`; empty if not exported."""

    TYPE_NAME = artifact_types.LITE_MODELS


class TFLiteExportSpec(component_spec.ComponentSpec):
    """Inputs and parameters of TFLiteExport; what has a structure is JSON."""

    PARAMETERS = {
        name: component_spec.ExecutionParameter(type=str)
        for name in (_MODEL_NAME, _LITE, _METRICS, _LABELS, _CODE)
    }
    INPUTS = {
        specs.MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model),
        specs.EXAMPLES_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples),
        specs.MODEL_BLESSING_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.ModelBlessing
        ),
    }
    OUTPUTS = {LITE_MODELS: component_spec.ChannelParameter(type=LiteModels)}


class Executor(base_executor.BaseExecutor):
    """Exports the model if it is blessed; fails if a variant that is required is refused."""

    def Do(  # noqa: N802  TFX's name
        self,
        input_dict: dict[str, list[Any]],
        output_dict: dict[str, list[Any]],
        exec_properties: dict[str, Any],
    ) -> None:
        self._log_startup(input_dict, output_dict, exec_properties)
        exported = artifact_utils.get_single_instance(output_dict[LITE_MODELS])
        blessing = artifact_utils.get_single_instance(input_dict[specs.MODEL_BLESSING_KEY])
        if not model_utils.is_model_blessed(blessing):
            exported.set_int_custom_property(EXPORTED, 0)
            return
        model = artifact_utils.get_single_instance(input_dict[specs.MODEL_KEY])
        examples = input_dict[specs.EXAMPLES_KEY]
        job = Job(
            saved_model=Path(path_utils.serving_model_path(model.uri)),
            name=exec_properties[_MODEL_NAME],
            version=str(model.id),
            representative=_files(examples, "train"),
            test=_files(examples, "test"),
            config=LiteConfig.model_validate_json(exec_properties[_LITE]),
            metrics=json.loads(exec_properties[_METRICS]),
            labels=json.loads(exec_properties[_LABELS]),
        )
        report = export_lite(job, Path(exported.uri))
        for line in table_lines(report):
            print(line)
        if report.failure:
            raise LiteExportFailed(report.failure)
        exported.set_int_custom_property(EXPORTED, 1)
        names = [verdict.variant for verdict in report.accepted]
        exported.set_string_custom_property(ACCEPTED, ",".join(names))


class TFLiteExport(base_component.BaseComponent):
    """Exports `model` in the variants of `lite` if `model_blessing` says so.

    Args:
        examples: raw; the train split gives the ranges of 8 bits, the test split decides.
        metrics: measured on the test split besides the comparison with the model.
        labels: names of the classes, by the output that they are of.
        code: hash of the source that exports.
    """

    SPEC_CLASS = TFLiteExportSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: channel.BaseChannel,
        examples: channel.BaseChannel,
        model_blessing: channel.BaseChannel,
        model_name: str,
        lite: LiteConfig,
        metrics: Sequence[Metric],
        labels: Mapping[str, Sequence[str]],
        code: str,
    ) -> None:
        super().__init__(
            spec=TFLiteExportSpec(
                model=model,
                examples=examples,
                model_blessing=model_blessing,
                model_name=model_name,
                lite=lite.model_dump_json(),
                metrics=json.dumps([metric.model_dump() for metric in metrics]),
                labels=json.dumps(labels),
                code=code,
                lite_models=channel.Channel(type=LiteModels),
            )
        )


def _files(examples: Sequence[Any], split: str) -> list[Path]:
    folders = artifact_utils.get_split_uris(list(examples), split)
    return sorted(path for folder in folders for path in Path(folder).iterdir() if path.is_file())
