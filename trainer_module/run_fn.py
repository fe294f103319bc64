"""What TFX's Trainer calls: reads its artifacts, runs the loop, exports. The only TFX adapter."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.utils import io_utils

from trainer_module import reference
from trainer_module.checkpoint_root import INPUT_CACHE, Use, note_use
from trainer_module.config import TrainerSettings
from trainer_module.config.job import DataConfig, Job
from trainer_module.data.records import match_files
from trainer_module.data.survey import source_key, survey
from trainer_module.export import ServingModel
from trainer_module.job import best_model, feature_spec, run
from trainer_module.progress import emit
from trainer_module.raw_features import single_valued, spec_of_schema
from trainer_module.tasks import make_task
from trainer_module.tasks.base import SAMPLES

if TYPE_CHECKING:
    from tfx.components.trainer.fn_args_utils import FnArgs

RAW_EXAMPLES = "raw_examples"
"""Key of `custom_config` under which the Trainer component puts the files of raw eval examples."""

RUN_ID = "run_id"
"""Key under which it puts the id of the run, if it knows it."""

_REFERENCE_ROWS = 200


def run_fn(fn_args: FnArgs) -> None:
    """Trains the task of `custom_config` and writes the SavedModel to `serving_model_dir`.

    Checkpoints, TensorBoard logs and the history live in a folder that is keyed by configuration,
    code and data, since the Trainer's own output folders change with every execution: a run after
    a crash finds them and goes on.
    """
    raw_examples = fn_args.custom_config.pop(RAW_EXAMPLES)
    run_id = fn_args.custom_config.pop(RUN_ID, None)
    settings = TrainerSettings.model_validate(fn_args.custom_config)
    data = DataConfig(
        train=fn_args.train_files,
        eval=fn_args.eval_files,
        transform=fn_args.transform_graph_path,
    )
    base = fn_args.base_model if settings.train.warm_start else None
    job = Job(
        task=settings.task,
        train=settings.train,
        data=data,
        folder=os.path.join(settings.checkpoint_root, _key(settings, data, base)),
        cache=_cache(settings),
        base_model=base,
        label=settings.label,
    )
    # The last part of an output's path is the number of the execution.
    note_use(Path(job.folder), Use(Path(fn_args.model_run_dir).name, run_id))
    result = run(job)
    assert result is not None, "this process is the chief, or has started the cluster"
    emit(
        "trained",
        epochs=-(-result.last_step // result.steps_per_epoch),
        steps=result.last_step,
        resumed_from=result.resumed_from,
        best_epoch=-(-result.best_step // result.steps_per_epoch),
        stopped=result.stopped,
    )

    transform = tft.TFTransformOutput(fn_args.transform_graph_path)
    task = make_task(settings.task)
    spec = transform.transformed_feature_spec()
    model = best_model(task, spec, settings.train, job.folder)
    schema = io_utils.parse_pbtxt_file(fn_args.schema_path, schema_pb2.Schema())
    raw_spec, single = spec_of_schema(schema), single_valued(schema)
    serving = ServingModel(task, model, transform, raw_spec, settings.label, single)
    serving.save(fn_args.serving_model_dir)
    reference.write_reference_answers(
        serving,
        reference.read_serialized(raw_examples, _REFERENCE_ROWS),
        os.path.join(fn_args.model_run_dir, reference.FILE_NAME),
    )
    _keep_logs(settings.train.debug.folder_in(job.folder), fn_args.model_run_dir)


def _keep_logs(folder: str, model_run: str) -> None:
    """Copies what the callbacks wrote into the artifact that TFX keeps of the training."""
    os.makedirs(model_run, exist_ok=True)
    for path in Path(folder).iterdir():
        if path.is_dir() and path.name in ("tensorboard", SAMPLES):
            shutil.copytree(path, Path(model_run, path.name))
        elif path.suffix in (".jsonl", ".csv"):
            shutil.copy(path, model_run)


def _cache(settings: TrainerSettings) -> str:
    """Returns the folder of what is kept of the files that are read, for every configuration."""
    return os.path.join(settings.checkpoint_root, INPUT_CACHE)


def _key(settings: TrainerSettings, data: DataConfig, base_model: str | None) -> str:
    """Returns the name of the checkpoint folder, readable at its start and unique at its end."""
    digest = hashlib.sha256(settings.model_dump_json(exclude={"checkpoint_root"}).encode())
    cache = _cache(settings)
    for patterns in (data.train, data.eval):
        files, spec = match_files(patterns), feature_spec(data)
        # What the rows are, rather than the files, which Transform may write in another order.
        digest.update(survey(files, spec, cache)[1].encode())
        if settings.train.input.cache == "none":
            # Read from the files in every epoch, the rows come in an order that depends on them.
            digest.update(source_key(files, spec).encode())
    if base_model:
        # The index of a checkpoint holds a checksum of each tensor.
        index = Path(base_model, "variables", "variables.index")
        digest.update(index.read_bytes())
    name = settings.task.name.rpartition(".")[2]
    return f"{name}-{digest.hexdigest()[:16]}"
