"""A training as callbacks see it, without the work of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.callbacks import Training  # isort: skip
from trainer_module.config import TrainConfig  # isort: skip
from trainer_module.data import MemorySplit  # isort: skip
from trainer_module.state import TrainState  # isort: skip
from trainer_module.tasks.digits import Digits  # isort: skip

MakeTraining = Callable[..., Training]


@pytest.fixture
def make_training(train_rows: dict, eval_rows: dict) -> MakeTraining:
    """Returns trainings of ten steps an epoch, their state without a model."""

    def make(**changes: Any) -> Training:
        values: dict[str, Any] = {
            "task": Digits(filters=4, embedding=8),
            "config": TrainConfig(epochs=4, batch_size=32),
            "state": TrainState(
                model=None,
                players=(),
                step=tf.Variable(0, dtype=tf.int64),
                plateau=tf.Variable(1.0),
                scale=None,
                average=None,
                last_gradients=(),
            ),
            "train_split": MemorySplit(train_rows),
            "eval_split": MemorySplit(eval_rows),
            "feature_spec": {},
            "folder": "",
            "is_chief": True,
            "total_steps": 40,
            "steps_per_epoch": 10,
            "names": ("loss", "class/accuracy"),
        }
        return Training(**(values | changes))

    return make
