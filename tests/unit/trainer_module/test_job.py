"""A job's file says all of a training; what is wrong with it is said before anything runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from trainer_module.config.job import Job
from trainer_module.job import JobError, load_job, run

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
    ],
)
def test_load_job_when_a_key_is_wrong_then_names_it_and_what_was_found(path, override, message):
    with pytest.raises(JobError) as raised:
        load_job(path, [override])
    assert message in str(raised.value)


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
