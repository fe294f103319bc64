"""A job's file says all of a training; what is wrong with it is said before anything runs."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)
from trainer_module.config import DebugConfig
from trainer_module.config.job import Job
from trainer_module.job import JobError, best_model, feature_spec, load_job, run
from trainer_module.progress import LOGGER_NAME
from trainer_module.tasks import make_task

import tensorflow as tf  # isort: skip
import tensorflow_transform as tft  # isort: skip
from tensorflow_transform.tf_metadata import (  # isort: skip
    dataset_metadata,
    metadata_io,
    schema_utils,
)

RAW_SPEC = {
    "image": tf.io.FixedLenFeature([64], tf.float32),
    "digit": tf.io.FixedLenFeature([1], tf.int64),
}

JOB = {
    "task": {"name": "digits"},
    "train": {"epochs": 1, "batch_size": 32},
    "data": {
        "train": ["train-*.gz"],
        "eval": ["eval-*.gz"],
        "features": {"image": {"dtype": "float32", "shape": [8, 8, 1]}},
    },
    "folder": "run",
}


@pytest.fixture
def path(tmp_path: Path) -> str:
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(JOB))
    return str(path)


@pytest.mark.parametrize("write", [yaml.safe_dump, json.dumps])
def test_load_job_when_the_file_is_yaml_or_json_then_reads_it(tmp_path, write):
    path = tmp_path / "job"
    path.write_text(write(JOB))
    assert load_job(str(path)) == Job.model_validate(JOB)


def test_load_job_when_written_by_itself_then_reads_the_same(tmp_path):
    train = {**JOB["train"], "class_weights": {"class": {3: 2.0}}, "optimizer": {"epsilon": 1e-9}}
    job = Job.model_validate({**JOB, "train": train})
    path = tmp_path / "job.json"
    path.write_text(job.model_dump_json())
    assert load_job(str(path)) == job


def test_load_job_when_keys_are_overridden_then_takes_those(path):
    job = load_job(path, ["train.epochs=7", "train.optimizer.learning_rate=1e-2", "folder=other"])
    assert (job.train.epochs, job.train.optimizer.learning_rate, job.folder) == (7, 0.01, "other")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.epoch=3", "train.epoch: found a key that does not exist"),
        ("train.epochs=many", "train.epochs: found 'many'; allowed: input should be a valid int"),
        ("train.batch_size", "--set: found 'train.batch_size'; allowed: key=value"),
        ("folder.name=x", "--set folder.name=x: found 'run' at folder; allowed: a section"),
        ("task=null", "task: found None"),
        ("data.transform=t", "data: features: found it and transform; allowed: one of the two"),
        ("data.features={}", "found neither it nor transform"),
        ("output=out", "output: found 'out' without data.transform"),
        ("train.strategy=mirror", "train.strategy: found 'mirror'"),
        ("train.warm_start=true", "train.warm_start: found true without base_model"),
        ("base_model=base", "base_model: found 'base' without train.warm_start; allowed: null"),
    ],
)
def test_load_job_when_a_key_is_wrong_then_names_it_and_what_was_found(path, override, message):
    with pytest.raises(JobError) as raised:
        load_job(path, [override])
    assert message in str(raised.value)


def test_load_job_when_a_warm_start_has_its_base_then_takes_both(path):
    job = load_job(path, ["train.warm_start=true", "base_model=base"])
    assert (job.train.warm_start, job.base_model) == (True, "base")


def test_run_when_a_pipeline_has_no_model_to_begin_with_then_its_workers_can_load_the_job(
    tmp_path, monkeypatch
):
    train = {"strategy": "multi_worker", "local_workers": 2, "warm_start": True}
    job = Job.model_validate({**JOB, "train": {**JOB["train"], **train}})
    given: list[Job] = []
    monkeypatch.setattr("trainer_module.cluster.train_locally", given.append)
    assert run(job) is None
    path = tmp_path / "cluster-job.json"
    path.write_text(given[0].model_dump_json())
    assert load_job(str(path)) == given[0]


def test_load_job_when_there_is_no_such_file_then_says_so(tmp_path):
    with pytest.raises(JobError, match="No such file"):
        load_job(str(tmp_path / "absent.yaml"))


def test_load_job_when_the_file_is_a_list_then_says_which_keys_it_takes(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text("[1, 2]")
    with pytest.raises(JobError, match="allowed: keys: task, train, data"):
        load_job(str(path))


def test_run_when_local_workers_and_tf_config_are_both_set_then_refuses(path, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {}}')
    job = load_job(path, ["train.strategy=multi_worker", "train.local_workers=2"])
    with pytest.raises(JobError, match=r"train.local_workers: found 2 with TF_CONFIG set"):
        run(job)


def test_run_when_it_is_the_evaluator_of_a_tfjob_then_says_that_there_is_nothing_to_do(
    path, monkeypatch, caplog
):
    cluster = {"worker": ["a:1", "b:1"]}  # the operator names no evaluator in it
    description = {"cluster": cluster, "task": {"type": "evaluator", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(description))
    with caplog.at_level(logging.INFO, logger=LOGGER_NAME):
        assert run(load_job(path, ["train.strategy=multi_worker"])) is None
    assert "this evaluator has nothing to do" in caplog.records[-1].event["text"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parameter_servers": 2}, "parameter_servers: found 2 with strategy 'default'"),
        ({"local_workers": 2}, "local_workers: found 2 with strategy 'default'"),
        (
            {"strategy": "multi_worker", "local_workers": 3},
            "batch_size: found 32; allowed: a multiple of replicas x accumulate (3 x 1)",
        ),
        ({"strategy": "parameter_server", "precision": "mixed_float16"}, "cannot agree on"),
        ({"strategy": "parameter_server", "xla": True}, "xla: found true"),
        ({"strategy": "parameter_server", "input": {"cache": "file"}}, "input.cache: found 'file'"),
        (
            {"strategy": "parameter_server", "steps_per_call": "auto"},
            "steps_per_call: found 'auto'",
        ),
        (
            {"strategy": "parameter_server", "debug": {"deterministic": True}},
            "debug.deterministic: found true",
        ),
        (
            {"strategy": "parameter_server", "debug": {"layer_report": True}},
            "debug.layer_report: found true",
        ),
        ({"strategy": "multi_worker", "debug": {"eager": True}}, "debug.eager: found true"),
        (
            {
                "strategy": "parameter_server",
                "callbacks": {"tensorboard": {"histograms": True}},
            },
            "callbacks.tensorboard.histograms: found true",
        ),
    ],
)
def test_job_when_the_strategy_cannot_do_what_is_asked_then_is_refused(tmp_path, changes, message):
    path = tmp_path / "job.json"
    path.write_text(json.dumps({**JOB, "train": {**JOB["train"], **changes}}))
    with pytest.raises(JobError) as raised:
        load_job(str(path))
    assert message in str(raised.value)


def _write(path: Path, rows: dict[str, np.ndarray]) -> None:
    """Writes rows as Transform would."""
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for index in range(len(rows["class"])):
            feature = {
                name: tf.train.Feature(int64_list={"value": values[index].ravel()})
                if values.dtype == np.int64
                else tf.train.Feature(float_list={"value": values[index].ravel()})
                for name, values in rows.items()
            }
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())


def _write_raw_metadata(transform: str | Path, spec: dict) -> None:
    """Writes what the Transform component writes beside; Transform's library alone does not."""
    raw = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(spec))
    metadata_io.write_metadata(raw, str(Path(transform, tft.TFTransformOutput.RAW_METADATA_DIR)))


@pytest.fixture
def real_job(tmp_path: Path, digits_transform, train_rows: dict, eval_rows: dict) -> Callable:
    """Makes a job that trains on real digits for one epoch."""
    _write(tmp_path / "train.gz", train_rows)
    _write(tmp_path / "eval.gz", eval_rows)
    transform = tmp_path / "transform"
    shutil.copytree(Path(digits_transform.transform_savedmodel_dir).parent, transform)
    _write_raw_metadata(transform, RAW_SPEC)

    def make(**changes: object) -> Job:
        job = {
            "task": {"name": "digits", "options": {"filters": 4, "embedding": 8}},
            "train": {"epochs": 1, "batch_size": 32, "precision": "mixed_bfloat16"},
            "data": {
                "train": [str(tmp_path / "train.gz")],
                "eval": [str(tmp_path / "eval.gz")],
                "transform": str(transform),
            },
            "folder": str(tmp_path / "run"),
        }
        return Job.model_validate({**job, **changes})

    return make


def test_run_when_there_is_an_output_then_exports_the_best_model(
    real_job, tmp_path, eval_rows, digit_examples
):
    job = real_job(output=str(tmp_path / "export"), label="digit")
    result = run(job)
    assert (result.best_step, result.last_step, result.resumed_from) == (10, 10, 0)
    served = tf.saved_model.load(str(tmp_path / "export")).signatures["serving_default"]
    answers = served(examples=tf.constant(digit_examples[:5]))
    assert answers["probabilities"].shape == (5, 10)
    model = best_model(make_task(job.task), feature_spec(job.data), job.train, job.folder)
    assert model.dtype_policy.name == "float32"
    outputs = model({"image": eval_rows["image"][:5]}, training=False)
    assert np.isfinite(outputs["class"].numpy()).all()


@pytest.mark.parametrize("local_workers", [None, 2])
def test_run_when_the_label_is_no_raw_feature_then_says_so_before_it_trains(
    real_job, tmp_path, local_workers
):
    job = real_job(output=str(tmp_path / "export"), label="digits")
    if local_workers:
        cluster = {"strategy": "multi_worker", "local_workers": local_workers}
        job = job.model_copy(update={"train": job.train.model_copy(update=cluster)})
    with pytest.raises(
        JobError, match=r"^label: found 'digits'; allowed: a raw feature, digit, im"
    ):
        run(job)
    assert not (tmp_path / "run").exists()


def test_run_when_a_raw_feature_cannot_be_served_then_says_so_before_it_trains(real_job, tmp_path):
    job = real_job(output=str(tmp_path / "export"), label="digit")
    words = tf.io.SparseFeature("at", "of", tf.float32, 9)
    _write_raw_metadata(job.data.transform, {**RAW_SPEC, "words": words})
    message = "^raw feature 'words': found SparseFeature in the schema; allowed: a list of values"
    with pytest.raises(ValueError, match=message):
        run(job)
    assert not (tmp_path / "run").exists()


def test_run_when_there_is_no_raw_schema_then_says_so_before_it_trains(real_job, tmp_path):
    job = real_job(output=str(tmp_path / "export"), label="digit")
    shutil.rmtree(Path(job.data.transform, tft.TFTransformOutput.RAW_METADATA_DIR))
    with pytest.raises(JobError, match=r"^data\.transform: found .* does not exist.*allowed: with"):
        run(job)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("debug", "own"),
    [({"fast_dev_run": True}, "fast-dev-run"), ({"overfit_batches": 1}, "overfit-1")],
)
def test_run_when_of_less_data_then_leaves_the_output_and_exports_to_its_own_folder(
    real_job, tmp_path, caplog, debug, own
):
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "in-use").touch()
    job = real_job(output=str(tmp_path / "export"), label="digit")
    job = job.model_copy(
        update={"train": job.train.model_copy(update={"debug": DebugConfig(**debug)})}
    )
    with caplog.at_level(logging.INFO, logger=LOGGER_NAME):
        run(job)
    assert [path.name for path in (tmp_path / "export").iterdir()] == ["in-use"]
    expected = tmp_path / "run" / own / "export"
    assert (expected / "saved_model.pb").is_file()
    assert caplog.records[-1].event == {"kind": "exported", "path": str(expected)}


def test_run_when_run_again_then_finds_the_training_done(real_job):
    job = real_job()
    assert run(job).last_step == 10
    assert run(job).resumed_from == 10


def test_run_when_it_overfitted_before_then_begins_anew_with_the_training(real_job):
    job = real_job()
    debug = {"debug": {"overfit_batches": 2}}
    assert run(real_job(train={**job.train.model_dump(), **debug})).last_step == 2
    assert run(job).resumed_from == 0


@pytest.mark.parametrize("cache", [None, "shared"])
def test_run_when_arrays_are_kept_in_files_then_in_the_cache_that_is_named(
    real_job, tmp_path, cache
):
    job = real_job(cache=cache and str(tmp_path / cache))
    fields = {**job.train.model_dump(), "input": {"cache": "file"}}
    run(job.model_copy(update={"train": type(job.train).model_validate(fields)}))
    kept = tmp_path / (cache or "run/input")
    assert len(list(kept.rglob("summary.json"))) == 2
    assert (tmp_path / "run" / "input").exists() == (cache is None)
