"""Devices are set before TensorFlow starts, and never more replicas used than there are."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.config import TrainConfig  # isort: skip
from trainer_module.strategy import configure_devices, make_strategy, replica_count  # isort: skip

SCRIPT = """
import trainer_module
import tensorflow as tf
from trainer_module.config import TrainConfig
from trainer_module.strategy import configure_devices, make_strategy

def config(**changes):
    fields = {"epochs": 1, "batch_size": 12, "eval_batch_size": 12, "strategy": "mirrored"}
    return TrainConfig(**(fields | changes))

def show_error(action, *args):
    try:
        action(*args)
    except (ValueError, RuntimeError) as error:
        print(type(error).__name__, error)

configure_devices(config(replicas=2))
configure_devices(config(replicas=2))
print(len(tf.config.list_logical_devices("CPU")), "logical CPUs")
configure_devices(config(replicas=2))
show_error(configure_devices, config(replicas=3))
show_error(make_strategy, config(replicas=3))
show_error(make_strategy, config(batch_size=7))
show_error(make_strategy, config(eval_batch_size=9))
print(make_strategy(config(replicas=1)).num_replicas_in_sync, "of the replicas that were asked for")
print(make_strategy(config()).num_replicas_in_sync, "replicas when all are taken")
"""


@pytest.fixture(scope="module")
def said() -> list[str]:
    """What a process says that configures two logical CPUs, line by line."""
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT)], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr[-3000:]
    return process.stdout.splitlines()


def test_configure_devices_when_called_again_with_the_same_then_does_nothing(said):
    assert said[0] == "2 logical CPUs"


def test_configure_devices_when_devices_are_in_use_and_others_are_asked_for_then_refuses(said):
    assert said[1].startswith("RuntimeError")


def test_make_strategy_when_more_replicas_are_asked_for_than_exist_then_names_both(said):
    assert said[2] == "ValueError 3 replicas on 2 devices"


def test_make_strategy_when_a_batch_does_not_divide_among_the_replicas_then_names_it(said):
    rest = "which does not divide among 2 replicas"
    assert said[3] == f"ValueError batch_size 7, {rest}"
    assert said[4] == f"ValueError eval_batch_size 9, {rest}"


def test_make_strategy_when_replicas_are_given_or_not_then_takes_so_many_or_all(said):
    assert said[5:] == ["1 of the replicas that were asked for", "2 replicas when all are taken"]


def test_strategy_when_it_is_the_default_then_needs_no_devices_of_its_own():
    config = TrainConfig(epochs=1, batch_size=7)
    configure_devices(config)
    strategy = make_strategy(config)
    assert strategy is tf.distribute.get_strategy()
    assert strategy.num_replicas_in_sync == replica_count(config) == 1
