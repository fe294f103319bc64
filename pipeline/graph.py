"""The pipeline: which components there are and what each gets from which."""

from __future__ import annotations

import json
from pathlib import Path

# By module rather than through `tfx.v1`, which imports Google Cloud's AI Platform too and with it
# takes twice as long.
from tfx.components.example_validator.component import ExampleValidator
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.experimental.conditionals.conditional import Cond
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import transform_pb2

from components.anomaly_gate.component import AnomalyGate
from components.batched import Evaluator, StatisticsGen, Transform
from components.example_gen.component import (
    SourceExampleGen,
    WrittenExampleGen,
    big_query_rows,
)
from components.example_gen.config import BigQueryConfig, DataConfig
from components.pusher.component import Pusher
from components.pusher.model_card import CardSettings
from components.schema_file.component import SchemaFile
from components.schema_gen import SchemaGen
from components.tflite.component import TFLiteExport
from components.trainer.component import Trainer
from pipeline.beam.arguments import beam_pipeline_args
from pipeline.config import RunConfig
from pipeline.evaluation import eval_config
from pipeline.lite import lite_labels, lite_metrics
from pipeline.lookups import Lookups, MetadataLookups
from pipeline.source_hash import library_versions, source_hash
from trainer_module.config import TrainerSettings
from trainer_module.tasks import dotted_path
from trainer_module.tasks.base import Task

GATE = "AnomalyGate"
PREPROCESSING_FN = "trainer_module.preprocessing.preprocessing_fn"


def build_pipeline(
    config: RunConfig, task: Task, to_gate: bool = False, lookups: Lookups | None = None
) -> Pipeline:
    """Returns the graph of a run.

    A hash of the source that a node runs is among its parameters, so that TFX's cache, which
    knows only artifacts and parameters, sees a change of code.

    Args:
        task: the task that `config` names; tells the heads to evaluate and where its code is.
        to_gate: leave out all that comes after AnomalyGate. What is left is the same to the cache.
        lookups: of earlier runs; None: in ML Metadata.
    """
    lookups = lookups or MetadataLookups()
    root = config.pipeline_root
    task_module = type(task).__module__
    features_module = type(task).preprocessing_fn.__module__
    columns_module = type(task).column_problems.__module__
    read = type(task).columns_read(label=config.data.label, **config.preprocessing_options(task))
    columns = None if read is None else sorted({*read, *config.evaluate.slices})
    task_path, options = dotted_path(config.task.name), config.preprocessing_options(task)

    readers, example_gen = _example_gen(config.data, task)
    statistics_gen = StatisticsGen(examples=example_gen.outputs["examples"])
    if config.schema.path is None:
        schema_gen = SchemaGen(
            statistics=statistics_gen.outputs["statistics"],
            exclude_splits=["eval", "test"],
            infer_feature_shape=not task.sparse_inputs,
        )
    else:
        schema_gen = SchemaFile(Path(config.schema.path).expanduser().resolve()).with_id(
            "SchemaGen"
        )
    example_validator = ExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=schema_gen.outputs["schema"]
    )
    scope = _data_scope(config)
    accepted = lookups.accepted_data(statistics_gen.outputs["statistics"], scope)
    gate = AnomalyGate(
        statistics=statistics_gen.outputs["statistics"],
        schema=schema_gen.outputs["schema"],
        anomalies=example_validator.outputs["anomalies"],
        previous_statistics=accepted.outputs["statistics"],
        previous_schema=accepted.outputs["schema"],
        validate=config.validate,
        label=config.data.label,
        is_reviewed=config.schema.path is not None,
        scope=scope,
        task=json.dumps({"name": task_path, "options": options, "columns": columns}),
        run_folders=str(root / "runs"),
        code=source_hash("components.anomaly_gate.executor", columns_module),
    ).with_id(GATE)
    transform = Transform(
        examples=example_gen.outputs["examples"],
        schema=schema_gen.outputs["schema"],
        preprocessing_fn=PREPROCESSING_FN,
        custom_config={
            "task": task_path,
            "label": config.data.label,
            "options": options,
            "code": source_hash("trainer_module.preprocessing", features_module),
        },
        splits_config=transform_pb2.SplitsConfig(analyze=["train"], transform=["train", "eval"]),
        disable_statistics=True,
    )
    if not to_gate:
        # Everything that learns from the data comes after Transform.
        transform.add_upstream_node(gate)
    # Which blessed model is the last is looked up before the training adds one of its own.
    last_blessed = lookups.last_blessed()
    code = source_hash("trainer_module.run_fn", task_module)
    trainer = Trainer(
        examples=transform.outputs["transformed_examples"],
        raw_examples=example_gen.outputs["examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema_gen.outputs["schema"],
        settings=TrainerSettings(
            task=config.task,
            train=config.train,
            label=config.data.label,
            code=code,
            checkpoint_root=str(root / "checkpoints"),
        ),
        base_model=last_blessed.outputs["model"] if config.train.warm_start else None,
    )
    baseline = lookups.baseline(trainer.outputs["model"])
    evaluator = Evaluator(
        examples=example_gen.outputs["examples"],
        example_splits=["test"],
        model=trainer.outputs["model"],
        baseline_model=baseline.outputs["model"],
        eval_config=eval_config(config.evaluate, task),
    )
    # What leaves the pipeline: nodes that are skipped where the model is not blessed.
    with Cond(evaluator.outputs["blessing"].future()[0].custom_property("blessed") == 1):
        pusher = Pusher(
            model=trainer.outputs["model"],
            model_blessing=evaluator.outputs["blessing"],
            model_run=trainer.outputs["model_run"],
            serving_root=str(config.serving_root),
            model_name=config.model_name,
            data=config.data.model_dump(mode="json"),
            serve=config.serve,
            card=CardSettings(
                task=config.task, evaluate=config.evaluate, code=code, libraries=library_versions()
            ),
            evaluation=evaluator.outputs["evaluation"],
            schema=schema_gen.outputs["schema"],
            statistics=statistics_gen.outputs["statistics"],
        )
        leaving: list[BaseComponent] = [pusher]
        if config.lite is not None:
            lite_export = TFLiteExport(
                model=trainer.outputs["model"],
                examples=example_gen.outputs["examples"],
                model_blessing=evaluator.outputs["blessing"],
                model_name=config.model_name,
                lite=config.lite,
                metrics=lite_metrics(config.evaluate, task),
                labels=lite_labels(task),
                code=source_hash("serving.lite.export", "serving.lite.worker"),
            )
            # Pusher holds the SavedModel to the trained model, this the files to the SavedModel.
            lite_export.add_upstream_node(pusher)
            leaving.append(lite_export)
    components = [
        *readers,
        example_gen,
        statistics_gen,
        schema_gen,
        example_validator,
        accepted,
        gate,
        *lookups.accepted_record(
            statistics_gen.outputs["statistics"],
            schema_gen.outputs["schema"],
            gate.outputs["verdict"],
            scope,
        ),
        transform,
        *([last_blessed] if config.train.warm_start else []),
        trainer,
        baseline,
        evaluator,
        *leaving,
    ]
    return Pipeline(
        pipeline_name=config.name,
        pipeline_root=str(root / "artifacts"),
        components=components[: components.index(gate) + 1] if to_gate else components,
        enable_cache=config.cache,
        beam_pipeline_args=beam_pipeline_args(config.beam),
    )


def _example_gen(data: DataConfig, task: Task) -> tuple[list[BaseComponent], BaseComponent]:
    """Returns ExampleGen, and the nodes that read rows for it, if it does not do so itself."""
    code = source_hash("components.example_gen.executor")
    if isinstance(data, BigQueryConfig):
        reader = big_query_rows(data)
        rows = reader.outputs["examples"]
        example_gen = WrittenExampleGen(rows, data, code, task.label_values)
        return [reader], example_gen.with_id("ExampleGen")
    example_gen = SourceExampleGen(data, code, task.label_values)
    return [], example_gen.with_id("ExampleGen")


def _data_scope(config: RunConfig) -> str:
    """Returns the keys of the data by which they are others on purpose.

    Data of another scope are not what a run's are compared with: a few rows for a trial say nothing
    of how all of them should be.
    """
    keys = {"dataset", "limit"}
    return json.dumps(config.data.model_dump(mode="json", include=keys), sort_keys=True)
