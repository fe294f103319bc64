"""How long the training loop waits for its input, measured inside its own function.

A call fetches its batches within the graph, where Python's clock does not reach: the fetch is put
between two readings of TensorFlow's.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.config import TaskConfig, TrainConfig  # isort: skip
from trainer_module.config.yaml_text import parse_yaml  # isort: skip
from trainer_module.data import Plan, Share, Split, make_augment, plan_calls  # isort: skip
from trainer_module.engine import build_engine  # isort: skip
from trainer_module.strategy import Place  # isort: skip
from trainer_module.tasks import make_task  # isort: skip

CONFIG = Path(__file__).resolve().parent.parent / "configs" / "cifar10.yaml"


class TimedIterator:
    """An iterator to be fetched from in a graph; adds up the seconds that fetching takes.

    Attributes:
        waited: float64 scalar.
    """

    def __init__(self, iterator: tf.data.Iterator) -> None:
        self._iterator = iterator
        self.waited = tf.Variable(0.0, dtype=tf.float64, trainable=False)

    def __next__(self) -> Any:
        """Returns the next element, in the graph that is being traced."""
        began = tf.timestamp()
        with tf.control_dependencies([began]):
            element = self._iterator.get_next()
        with tf.control_dependencies(tf.nest.flatten(element)):
            self.waited.assign_add(tf.timestamp() - began)
        return element


class Waiting:
    """A training of a task's network on a split, of which only the calls are timed.

    Args:
        task: what to train.
        config: its batch size, augmentation and optimizer.
        feature_spec: of the split.
        steps_per_call: in place of the configuration's: its measuring would be timed too.
        calls: how many there are to be timed, one more for the warmup.
    """

    def __init__(
        self,
        task: TaskConfig,
        config: TrainConfig,
        feature_spec: Mapping[str, Any],
        split: Split,
        steps_per_call: int,
        calls: int,
    ) -> None:
        steps = (1 + calls) * steps_per_call
        planned = plan_calls(0, steps, steps, steps_per_call)
        engine = build_engine(
            make_task(task),
            feature_spec,
            split,
            split,
            config,
            tf.distribute.get_strategy(),
            Place(),
            augment=None,
            initial=None,
        )
        augment = make_augment(config.input.augment, feature_spec)
        plan = Plan(planned, steps_per_call, config.batch_size, config.seed, augment)
        batches = split.training(plan, Share())
        self._train = engine.functions.train
        self._steps = tf.constant(steps_per_call)
        self._batches = TimedIterator(iter(batches))
        self._call()

    def share(self, calls: int) -> float:
        """Returns the part of the next calls' time that they wait for their batches."""
        before = float(self._batches.waited.numpy())
        began = time.perf_counter()
        for _ in range(calls):
            self._call()
        waited = float(self._batches.waited.numpy()) - before
        return waited / (time.perf_counter() - began)

    def _call(self) -> None:
        self._train(self._batches, self._steps).numpy()


def read_config(path: Path = CONFIG) -> tuple[TaskConfig, TrainConfig]:
    """Returns the task and the training of a configuration of the pipeline."""
    values = parse_yaml(path.read_text(encoding="utf-8"))
    return TaskConfig.model_validate(values["task"]), TrainConfig.model_validate(values["train"])
