"""What TFX's Trainer calls: reads its artifacts, runs the loop, exports. The only TFX adapter."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.utils import io_utils

from trainer_module import reference
from trainer_module.callbacks import History, Progress, TensorBoard
from trainer_module.checkpoint import load_best
from trainer_module.config import TrainerSettings
from trainer_module.data import Split, make_augment, open_split
from trainer_module.export import ServingModel
from trainer_module.loop import train
from trainer_module.progress import emit
from trainer_module.state import build_model, seed_keras
from trainer_module.strategy import configure_devices
from trainer_module.tasks import make_task
from trainer_module.tasks.base import SAMPLES
from trainer_module.warm_start import read_weights

if TYPE_CHECKING:
    from tfx.components.trainer.fn_args_utils import FnArgs

RAW_EXAMPLES = "raw_examples"
"""Key of `custom_config` under which the Trainer component puts the files of raw eval examples."""

_REFERENCE_ROWS = 100


def run_fn(fn_args: FnArgs) -> None:
    """Trains the task of `custom_config` and writes the SavedModel to `serving_model_dir`.

    Checkpoints, TensorBoard logs and the history live in a folder that is keyed by configuration,
    code and data, since the Trainer's own output folders change with every execution: a run after
    a crash finds them and goes on.
    """
    raw_examples = fn_args.custom_config.pop(RAW_EXAMPLES)
    settings = TrainerSettings.model_validate(fn_args.custom_config)
    configure_devices(settings.train)
    transform = tft.TFTransformOutput(fn_args.transform_graph_path)
    feature_spec = transform.transformed_feature_spec()
    section, cache = settings.train.input, os.path.join(settings.checkpoint_root, "input")
    train_split = open_split(fn_args.train_files, feature_spec, section, cache)
    eval_split = open_split(fn_args.eval_files, feature_spec, section, cache)

    base = fn_args.base_model if settings.train.warm_start else None
    folder = os.path.join(settings.checkpoint_root, _key(settings, base, train_split, eval_split))
    tensorboard = os.path.join(folder, "tensorboard")
    history = History(os.path.join(folder, "history.jsonl"))
    os.makedirs(folder, exist_ok=True)
    emit("train_data", train=train_split.rows, eval=eval_split.rows)

    task = make_task(settings.task)
    result = train(
        task,
        feature_spec,
        train_split,
        eval_split,
        settings.train,
        folder,
        [Progress(), TensorBoard(tensorboard), history],
        augment=make_augment(section.augment, feature_spec),
        initial=read_weights(base) if base else None,
    )
    emit(
        "trained",
        epochs=-(-result.last_step // result.steps_per_epoch),
        steps=result.last_step,
        resumed_from=result.resumed_from,
        best_epoch=-(-result.best_step // result.steps_per_epoch),
        stopped=result.stopped,
    )

    # Built anew: what is exported knows nothing of the strategy or the precision it learned in.
    seed_keras(settings.train.seed)
    model = build_model(task, feature_spec, "float32")
    load_best(folder, model)

    raw_spec = _raw_feature_spec(fn_args.schema_path)
    serving = ServingModel(task, model, transform, raw_spec, settings.label)
    serving.save(fn_args.serving_model_dir)
    os.makedirs(fn_args.model_run_dir, exist_ok=True)
    reference.write_reference_answers(
        serving,
        reference.read_serialized(raw_examples, _REFERENCE_ROWS),
        os.path.join(fn_args.model_run_dir, reference.FILE_NAME),
    )
    for name in ("tensorboard", SAMPLES):
        if os.path.isdir(os.path.join(folder, name)):
            shutil.copytree(os.path.join(folder, name), os.path.join(fn_args.model_run_dir, name))
    shutil.copy(os.path.join(folder, "history.jsonl"), fn_args.model_run_dir)


def _key(settings: TrainerSettings, base_model: str | None, *splits: Split) -> str:
    """Returns the name of the checkpoint folder, readable at its start and unique at its end."""
    content = settings.model_dump_json(exclude={"checkpoint_root"})
    content += "".join(split.fingerprint() for split in splits)
    if base_model:
        index = os.path.join(base_model, "variables", "variables.index")
        # The index of a checkpoint holds a checksum of each tensor.
        content += hashlib.sha256(Path(index).read_bytes()).hexdigest()
    name = settings.task.name.rpartition(".")[2]
    return f"{name}-{hashlib.sha256(content.encode()).hexdigest()[:16]}"


def _raw_feature_spec(schema_path: str) -> dict[str, tf.io.FixedLenFeature]:
    """Returns the feature spec of the raw examples.

    Raises:
        ValueError: if a feature is not of fixed length.
    """
    schema = io_utils.parse_pbtxt_file(schema_path, schema_pb2.Schema())
    spec = tft.tf_metadata.schema_utils.schema_as_feature_spec(schema).feature_spec
    for name, feature in spec.items():
        if not isinstance(feature, tf.io.FixedLenFeature):
            raise ValueError(
                f"raw feature {name!r}: found {type(feature).__name__} in the schema; "
                "allowed: a fixed number of values in every row"
            )
    return spec
