"""Tapeline's loop, whole: `train` with a callback, its own input, its checks between calls."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.loop import models
from benchmarks.loop.problems import Problem
from benchmarks.loop.training import Gate, Run
from trainer_module.callbacks import Callback, Training, Values
from trainer_module.callbacks.factory import make_callbacks
from trainer_module.config import OptimizerConfig, ScheduleConfig, TrainConfig
from trainer_module.data import MemorySplit
from trainer_module.loop import train
from trainer_module.tasks import losses
from trainer_module.tasks.base import Head, Task, Tensors

import tensorflow as tf  # isort: skip
import tf_keras as keras  # isort: skip

_EPOCHS = 1_000_000  # The end is not reached: the process ends first.


class _Classes(Task):
    """The network of a problem, as a task."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem

    @property
    def heads(self) -> Sequence[Head]:
        head = Head(
            name="class",
            label="label",
            loss=losses.softmax_cross_entropy,
            served="class",
            metrics={"accuracy": losses.class_hit},
        )
        return (head,)

    def build_model(self, feature_spec: Mapping[str, Any]) -> keras.Model:
        network = models.build_network(self._problem)
        return keras.Model(
            {"image": network.image}, {"class": network.logits, "embedding": network.embedding}
        )

    def serving_outputs(self, outputs: Tensors) -> dict[str, tf.Tensor]:
        return {"class": outputs["class"]}


class _CallEnds(Callback):
    """Times calls of full length; stops the clock for evaluations and checkpoints.

    An epoch's checkpoint comes just before the call after it: that call is not timed either.
    """

    def __init__(self, gate: Gate, steps_per_call: int) -> None:
        self._gate = gate
        self._steps_per_call = steps_per_call
        self._steps_per_epoch = 0
        self._timed = False

    def on_train_begin(self, training: Training) -> None:
        self._steps_per_epoch = training.steps_per_epoch
        self._gate.wait()
        self._gate.clock.stop()

    def on_call_end(self, step: int, values: Values) -> None:
        if self._timed:
            self._gate.taken(self._steps_per_call, values["loss"], values["class/accuracy"])
        left_of_epoch = self._steps_per_epoch - step % self._steps_per_epoch
        self._timed = self._steps_per_call <= left_of_epoch < self._steps_per_epoch
        if self._timed:
            self._gate.clock.start()
        else:
            self._gate.clock.stop()


def make(
    problem: Problem,
    steps_per_call: int,
    changes: Mapping[str, Any] | None = None,
    with_callbacks: bool = False,
) -> Run:
    """Starts a training of the problem's network.

    Args:
        changes: keys of `train`, with Adam at a constant rate and no clipping unless they say so.
        with_callbacks: those of the configuration, too.
    """
    images, classes = models.rows()
    train_rows = {"image": images, "label": classes}
    config = TrainConfig(
        **{
            "epochs": _EPOCHS,
            "batch_size": problem.batch_size,
            "steps_per_call": steps_per_call,
            # Adam at a constant rate, as the others have it.
            "optimizer": OptimizerConfig(name="adam", learning_rate=1e-3),
            "schedule": ScheduleConfig(kind="constant", warmup_epochs=0.0),
            "clip": None,
            **(changes or {}),
        }
    )
    eval_rows = {name: values[:512] for name, values in train_rows.items()}
    folder = tempfile.mkdtemp(prefix="bench-loop-")
    gate = Gate()
    callbacks: list[Callback] = [_CallEnds(gate, steps_per_call)]
    if with_callbacks:
        callbacks += make_callbacks(config, folder)
    gate.start(
        lambda: train(
            _Classes(problem),
            {},
            MemorySplit(train_rows),
            MemorySplit(eval_rows),
            config,
            folder,
            callbacks,
        )
    )
    return gate.run
