"""Devices before TensorFlow starts, a process' place in a cluster, and the replicas there are."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.config import TrainConfig  # isort: skip
from trainer_module.data import Share  # isort: skip
from trainer_module.strategy import (  # isort: skip
    Place,
    check_batches,
    configure_devices,
    make_strategy,
    read_place,
    replica_count,
    share_of,
)


def config(**changes: Any) -> TrainConfig:
    fields = {"epochs": 1, "batch_size": 12, "eval_batch_size": 12}
    return TrainConfig.model_validate(fields | changes)


SCRIPT = """
import json
import trainer_module
import tensorflow as tf
from trainer_module.config import TrainConfig
from trainer_module.strategy import configure_devices, make_strategy, replica_count

def config(**changes):
    fields = {"epochs": 1, "batch_size": 12, "eval_batch_size": 12, "strategy": "mirrored"}
    return TrainConfig(**(fields | changes))

def error(action, *args):
    try:
        action(*args)
    except (ValueError, RuntimeError) as error:
        return f"{type(error).__name__} {error}"

said = {}
divided = config(strategy="default", devices={"logical": 2}, debug={"deterministic": True})
configure_devices(divided)
configure_devices(divided)
said["logical"] = len(tf.config.list_logical_devices("CPU"))
configure_devices(config(replicas=2))
configure_devices(config(strategy="default"))
said["others"] = error(configure_devices, config(replicas=3))
said["too many"] = error(make_strategy, config(replicas=3))
said["batch"] = error(make_strategy, config(batch_size=7))
said["eval batch"] = error(make_strategy, config(eval_batch_size=9))
said["accumulated"] = error(make_strategy, config(accumulate=4))
said["counts"] = [replica_count(config(replicas=1)), replica_count(config())]
said["replicas"] = make_strategy(config()).num_replicas_in_sync
said["unseeded"] = error(tf.random.uniform, [1])
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said() -> dict[str, Any]:
    """What a process says that divides the CPU in two, and then is asked for other devices."""
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr[-3000:]
    return json.loads(process.stdout)


def test_configure_devices_when_logical_ones_are_asked_for_then_divides_the_cpu(said):
    """Twice, and once more as replicas: the same devices, which changes nothing."""
    assert said["logical"] == 2


def test_configure_devices_when_deterministic_then_refuses_what_is_not(said):
    assert said["unseeded"].startswith("RuntimeError Random ops require a seed")


def test_configure_devices_when_devices_are_in_use_and_others_are_asked_for_then_refuses(said):
    assert said["others"].startswith("RuntimeError")


class Gpus:
    """What TensorFlow is told of GPUs, on a machine that has none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.growth: dict[str, bool] = {}
        self.divided: dict[str, list[int | None]] = {}
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["0", "1"])
        of = tf.config.experimental
        monkeypatch.setattr(of, "get_memory_growth", lambda gpu: self.growth.get(gpu, False))
        monkeypatch.setattr(of, "set_memory_growth", self.growth.__setitem__)
        monkeypatch.setattr(tf.config, "get_logical_device_configuration", lambda gpu: None)
        monkeypatch.setattr(tf.config, "set_logical_device_configuration", self._divide)

    def _divide(self, gpu: str, parts: list[tf.config.LogicalDeviceConfiguration]) -> None:
        self.divided[gpu] = [part.memory_limit for part in parts]


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Gpus:
    return Gpus(monkeypatch)


@pytest.mark.parametrize(
    ("devices", "growth", "divided"),
    [
        ({}, {"0": True, "1": True}, {}),
        ({"memory_growth": False}, {}, {}),
        ({"memory_limit_mb": 2048}, {}, {"0": [2048], "1": [2048]}),
        ({"memory_limit_mb": 1024, "logical": 2}, {}, {"0": [1024] * 2, "1": [1024] * 2}),
    ],
    ids=str,
)
def test_configure_devices_when_there_are_gpus_then_sets_the_memory_of_each(
    gpus, devices, growth, divided
):
    configure_devices(config(devices=devices))
    assert (gpus.growth, gpus.divided) == (growth, divided)


def test_make_strategy_when_more_replicas_are_asked_for_than_exist_then_names_both(said):
    expected = "ValueError train.replicas: found 3; allowed: at most 2, one a device"
    assert said["too many"] == expected


def test_make_strategy_when_a_batch_does_not_divide_among_the_replicas_then_names_it(said):
    rest = "allowed: a multiple of 2, for 2 replicas"
    assert said["batch"] == f"ValueError train.batch_size: found 7; {rest}"
    assert said["eval batch"] == f"ValueError train.eval_batch_size: found 9; {rest}"
    expected = "train.batch_size: found 12; allowed: a multiple of 8, for 2 replicas"
    assert said["accumulated"] == f"ValueError {expected}"


def test_make_strategy_when_replicas_are_given_or_not_then_takes_so_many_or_all(said):
    assert (said["counts"], said["replicas"]) == ([1, 2], 2)


def test_check_batches_when_all_divide_then_says_nothing():
    check_batches(config(accumulate=2), 3)


def test_strategy_when_it_is_the_default_then_needs_no_devices_of_its_own():
    default = config(batch_size=7)
    configure_devices(default)
    strategy = make_strategy(default)
    assert strategy is tf.distribute.get_strategy()
    assert strategy.num_replicas_in_sync == replica_count(default) == 1
    assert share_of(strategy, 0, 1) == Share(replicas=1, first=0, count=1)


def test_strategy_when_it_is_tpu_and_none_answers_then_says_where_it_is_allowed(monkeypatch):
    def no_tpu(address: str) -> None:
        raise ValueError(f"Please provide a TPU Name to connect to, not {address}.\nAnd more.")

    monkeypatch.setattr(tf.distribute.cluster_resolver, "TPUClusterResolver", no_tpu)
    monkeypatch.setenv("TPU_NAME", "pod-7")
    with pytest.raises(ValueError) as caught:
        make_strategy(config(strategy="tpu"))
    assert str(caught.value) == (
        "train.strategy: found 'tpu', and no TPU answers; allowed: on a TPU machine, or with "
        "TPU_NAME set to one (Please provide a TPU Name to connect to, not pod-7.)"
    )


WORKERS = {"worker": ["a:1", "b:1"]}


@pytest.mark.parametrize(
    ("strategy", "cluster", "task", "place"),
    [
        ("multi_worker", WORKERS, ("worker", 0), Place("chief", 0, 2)),
        ("multi_worker", WORKERS, ("worker", 1), Place("worker", 1, 2)),
        ("multi_worker", {"chief": ["c:1"], **WORKERS}, ("chief", 0), Place("chief", 0, 3)),
        ("multi_worker", {"chief": ["c:1"], **WORKERS}, ("worker", 0), Place("worker", 0, 3)),
        (
            "parameter_server",
            {"chief": ["c:1"], "ps": ["p:1"], **WORKERS},
            ("chief", 0),
            Place("chief", 0, 2),
        ),
        (
            "parameter_server",
            {"chief": ["c:1"], "ps": ["p:1"], **WORKERS},
            ("ps", 0),
            Place("ps", 0, 2),
        ),
    ],
)
def test_read_place_when_tf_config_describes_a_cluster_then_is_the_process_in_it(
    monkeypatch, strategy, cluster, task, place
):
    description = {"cluster": cluster, "task": {"type": task[0], "index": task[1]}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(description))
    found = read_place(config(strategy=strategy))
    assert found == place
    assert found.is_chief == (place.role == "chief")
    assert found.name == f"{place.role} {place.index}"


@pytest.mark.parametrize("strategy", ["multi_worker", "parameter_server"])
@pytest.mark.parametrize("listed", [{}, {"evaluator": ["e:1"]}], ids=["left out", "listed"])
def test_read_place_when_it_is_an_evaluator_then_the_cluster_need_not_name_it(
    monkeypatch, strategy, listed
):
    task = {"type": "evaluator", "index": 0}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": {**WORKERS, **listed}, "task": task}))
    assert read_place(config(strategy=strategy)) == Place("evaluator", 0)


@pytest.mark.parametrize("strategy", ["default", "mirrored", "tpu"])
def test_read_place_when_the_strategy_needs_no_cluster_then_ignores_tf_config(
    monkeypatch, strategy
):
    monkeypatch.setenv("TF_CONFIG", "not JSON")
    assert read_place(config(strategy=strategy)) == Place("chief", 0, 1)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "not JSON",
        "[]",
        "{}",
        '{"cluster": {"worker": ["a:1"]}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": "first"}}',
    ],
)
@pytest.mark.parametrize("strategy", ["multi_worker", "parameter_server"])
def test_read_place_when_tf_config_describes_no_cluster_then_shows_it_and_what_is_allowed(
    monkeypatch, strategy, text
):
    if text is None:
        monkeypatch.delenv("TF_CONFIG", raising=False)
    else:
        monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError) as caught:
        read_place(config(strategy=strategy))
    assert str(caught.value) == (
        f"strategy {strategy!r}: found TF_CONFIG={text or ''!r} in the environment; allowed: a "
        "JSON with 'cluster' and 'task', which a cluster's operator sets, or train.local_workers, "
        "to start the processes here"
    )


def test_read_place_when_the_index_is_beyond_the_hosts_then_says_which_there_are(monkeypatch):
    description = {"cluster": WORKERS, "task": {"type": "worker", "index": 2}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(description))
    with pytest.raises(ValueError, match=r"^TF_CONFIG: found worker 2; allowed: 0 to 1$"):
        read_place(config(strategy="multi_worker"))


def test_train_when_a_cluster_is_needed_and_none_described_then_makes_no_strategy(
    monkeypatch, train_small
):
    """A strategy made first would be one of a single worker, in silence."""
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", lambda: pytest.fail("made"))
    with pytest.raises(ValueError, match=r"found TF_CONFIG='' in the environment"):
        train_small(strategy="multi_worker")
