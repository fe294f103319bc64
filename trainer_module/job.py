"""A training outside of a pipeline: one file says what, this runs it wherever it is to run.

    result = run(load_job("job.yaml"))

One process under `default` and `mirrored`; one of a cluster where TF_CONFIG describes one, as a
Kubernetes operator sets it; with `train.local_workers` a cluster of processes that it starts.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from yaml import YAMLError

from trainer_module import stopping
from trainer_module.config import TrainConfig
from trainer_module.config.job import DataConfig, Job
from trainer_module.config.train import CLUSTER_STRATEGIES
from trainer_module.config.yaml_text import parse_yaml
from trainer_module.progress import emit

if TYPE_CHECKING:
    import tf_keras as keras

    from trainer_module.callbacks import Callback
    from trainer_module.strategy import Place
    from trainer_module.tasks.base import Task


class JobError(ValueError):
    """A job that cannot run as it is written."""


@dataclass(frozen=True)
class JobResult:
    """What is worth saying of a training, wherever it ran; the weights are in the job's folder.

    Attributes:
        stopped: why it ended before `total_steps`; None if it did not.
    """

    best_step: int
    resumed_from: int
    last_step: int
    total_steps: int
    steps_per_epoch: int
    stopped: str | None = None


def load_job(path: str, overrides: Sequence[str] = ()) -> Job:
    """Reads a job from a file in YAML, or JSON, which is YAML.

    Args:
        overrides: `dotted.key=value` each, the value in YAML.

    Raises:
        JobError: with every mistake found.
    """
    try:
        values = parse_yaml(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise JobError(f"{path}: found {error}; allowed: a file in YAML or JSON") from error
    if not isinstance(values, dict):
        raise JobError(f"{path}: found {values!r}; allowed: keys: {', '.join(Job.model_fields)}")
    for override in overrides:
        _assign(values, override)
    try:
        job = Job.model_validate(values)
    except ValidationError as error:
        raise JobError("\n".join(_problem(path, item) for item in error.errors())) from error
    _check_warm_start(path, job)
    return job


def run(job: Job, callbacks: Sequence[Callback] | None = None) -> JobResult | None:
    """Trains, from the latest checkpoint in the job's folder if there is one, and exports.

    Args:
        callbacks: in place of the configuration's; not across processes.

    Returns:
        None in a process that only serves others, or has nothing to do.

    Raises:
        JobError, ValueError: if the job cannot run as it is written.
        PeerLost: if another process of the cluster does not answer.
        WorkerDied: if a process that this one started died.
        Interrupted: if SIGTERM came; the training is saved.
    """
    if job.train.local_workers:
        from trainer_module.cluster import train_locally

        if os.environ.get("TF_CONFIG"):
            raise JobError(
                f"train.local_workers: found {job.train.local_workers} with TF_CONFIG set; "
                "allowed: one of the two"
            )
        if job.output:
            _raw_spec(job)
        # As a file has to say it: a pipeline that has not blessed a model yet has no base_model.
        train = job.train.model_copy(update={"warm_start": job.base_model is not None})
        result: JobResult | None = train_locally(job.model_copy(update={"train": train}))
        chief = True
    else:
        result, chief = _run_here(job, callbacks)
    if result is not None and chief and job.output:
        output = export_path(job)
        export(job, output)
        emit("exported", path=output)
    return result


def _run_here(job: Job, callbacks: Sequence[Callback] | None) -> tuple[JobResult | None, bool]:
    """Runs this process' part; says whether it is the chief."""
    from trainer_module.strategy import configure_devices, read_place

    place = read_place(job.train)
    if job.train.strategy not in CLUSTER_STRATEGIES:
        configure_devices(job.train)
        return _train(job, place, callbacks), True
    if place.role == "evaluator":
        emit("warning", text="the loop evaluates by itself: this evaluator has nothing to do")
        return None, False
    import tensorflow as tf

    from trainer_module import parameter_server, watchdog

    if job.train.strategy == "parameter_server" and not place.is_chief:
        code = parameter_server.serve(place, job.train, job.folder)
        watchdog.leave(code, f"{place.name}: the coordinator is gone" if code else "")
    configure_devices(job.train)
    # From the start: one that left at once, before it has saved, would leave the others waiting.
    stopping.listen()
    parameter_server.say_unfinished(job.folder)
    with watchdog.Watchdog(job.train.stall_seconds):
        try:
            result = _train(job, place, callbacks)
        except tf.errors.OpError as error:
            lost = watchdog.explain(error)
            if lost is None:
                raise
            raise lost from error
    if place.is_chief:
        parameter_server.say_finished(job.folder)
    return result, place.is_chief


def _train(job: Job, place: Place, callbacks: Sequence[Callback] | None) -> JobResult:
    from trainer_module import debug
    from trainer_module.callbacks.factory import make_callbacks
    from trainer_module.data import make_augment, open_split
    from trainer_module.loop import train
    from trainer_module.strategy import make_strategy
    from trainer_module.tasks import make_task
    from trainer_module.warm_start import read_weights

    if job.output:
        _raw_spec(job)
    # Before any operation: a cluster's collectives cannot be set up once an operation has run.
    strategy = make_strategy(job.train)
    stopping.listen_again()
    spec = feature_spec(job.data)
    section, cache = job.train.input, job.cache or os.path.join(job.folder, "input")
    can_map = job.train.strategy != "parameter_server"
    config, train_split, eval_split = debug.limit(
        job.train,
        open_split(job.data.train, spec, section, cache, can_map),
        open_split(job.data.eval, spec, section, cache, can_map),
    )
    emit("train_data", train=train_split.rows, eval=eval_split.rows)
    folder = debug.prepare_folder(config, job.folder, place.is_chief)
    if callbacks is None:
        callbacks = make_callbacks(config, folder)
    result = train(
        make_task(job.task),
        spec,
        train_split,
        eval_split,
        config,
        folder,
        callbacks,
        augment=make_augment(section.augment, spec),
        strategy=strategy,
        initial=read_weights(job.base_model) if job.base_model else None,
    )
    return JobResult(
        best_step=result.best_step,
        resumed_from=result.resumed_from,
        last_step=result.last_step,
        total_steps=result.total_steps,
        steps_per_epoch=result.steps_per_epoch,
        stopped=result.stopped,
    )


def best_model(task: Task, spec: dict[str, Any], config: TrainConfig, folder: str) -> keras.Model:
    """Returns the model of the best checkpoint, built anew: it knows of no strategy."""
    from trainer_module.checkpoint import load_best
    from trainer_module.state import build_model, seed_keras

    seed_keras(config.seed)
    model = build_model(task, spec, "float32")
    load_best(config.debug.folder_in(folder), model)
    return model


def export_path(job: Job) -> str:
    """Returns where the SavedModel goes: `output`, or beside its checkpoints if of less data.

    What `fast_dev_run` and `overfit_batches` learn must not replace a model that is in use.
    """
    own = job.train.debug.folder_in(job.folder)
    return os.path.join(own, "export") if own != job.folder else job.output or ""


def export(job: Job, output: str) -> None:
    """Writes the SavedModel of the best checkpoint."""
    import tensorflow_transform as tft

    from trainer_module.export import ServingModel
    from trainer_module.tasks import make_task

    transform = tft.TFTransformOutput(job.data.transform)
    task = make_task(job.task)
    spec = transform.transformed_feature_spec()
    model = best_model(task, spec, job.train, job.folder)
    raw_spec, single = _raw_spec(job)
    ServingModel(task, model, transform, raw_spec, job.label or "", single).save(output)


def _raw_spec(job: Job) -> tuple[dict[str, Any], frozenset[str]]:
    """Returns the feature spec of the raw examples, which an export needs; runs no operation.

    Returns:
        The spec, and the features of which no row holds more than one value.

    Raises:
        JobError: if Transform's output does not say it, or the label is not among the features.
        ValueError: if a model of such features cannot be served.
    """
    import tensorflow_transform as tft

    from trainer_module.raw_features import single_valued, spec_of_schema

    try:
        schema = tft.TFTransformOutput(job.data.transform).raw_metadata.schema
        spec = spec_of_schema(schema)
    except OSError as error:
        raise JobError(
            f"data.transform: found {job.data.transform!r} ({error}); allowed: with output, a "
            "folder of the Transform component, which holds the schema of the raw features"
        ) from error
    if job.label not in spec:
        raise JobError(
            f"label: found {job.label!r}; allowed: a raw feature, {', '.join(sorted(spec))}"
        )
    return spec, single_valued(schema)


def feature_spec(data: DataConfig) -> dict[str, Any]:
    """Returns the feature spec of the transformed examples."""
    if data.transform:
        import tensorflow_transform as tft

        return tft.TFTransformOutput(data.transform).transformed_feature_spec()
    import tensorflow as tf

    return {
        name: tf.io.FixedLenFeature(feature.shape, tf.as_dtype(feature.dtype))
        for name, feature in data.features.items()
    }


def _check_warm_start(path: str, job: Job) -> None:
    """Checks that a file asks for a warm start and says of what, or does neither.

    Raises:
        JobError: if one of the two is missing, and the other would be of no use.
    """
    if job.train.warm_start and job.base_model is None:
        raise JobError(
            f"{path}: train.warm_start: found true without base_model; allowed: false, or with "
            "the SavedModel to begin with the weights of"
        )
    if job.base_model is not None and not job.train.warm_start:
        raise JobError(
            f"{path}: base_model: found {job.base_model!r} without train.warm_start; allowed: "
            "null, or with train.warm_start: true"
        )


def _assign(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    *sections, last = key.split(".")
    if not equals or not last:
        raise JobError(f"--set: found {override!r}; allowed: key=value, as train.epochs=5")
    inner: Any = values
    for section in sections:
        inner = inner.setdefault(section, {})
        if not isinstance(inner, dict):
            raise JobError(f"--set {override}: found {inner!r} at {section}; allowed: a section")
    try:
        inner[last] = parse_yaml(text)
    except YAMLError as error:
        raise JobError(f"--set {key}: found {text!r}; allowed: a value in YAML") from error


def _problem(path: str, item: Any) -> str:
    """Says a pydantic error as `file: key: what is wrong`."""
    key = ".".join(str(part) for part in item["loc"])
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        message = "found a key that does not exist"
    elif "found " not in message and item["type"] != "missing":
        message = f"found {item['input']!r}; allowed: {message[0].lower()}{message[1:]}"
    return f"{path}: {key + ': ' if key else ''}{message}"
