"""Keras' `fit`, with `steps_per_execution`."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.loop import models
from benchmarks.loop.inputs import batches
from benchmarks.loop.problems import Problem
from benchmarks.loop.training import Gate, Run

import tf_keras as keras  # isort: skip

_EPOCHS = 1_000_000  # The end is not reached: the process ends first.


class _EpochEnds(keras.callbacks.Callback):
    def __init__(self, gate: Gate, steps_per_epoch: int) -> None:
        super().__init__()
        self._gate = gate
        self._steps_per_epoch = steps_per_epoch

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self._gate.wait()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        assert logs is not None
        self._gate.taken(self._steps_per_epoch, logs["loss"], logs["accuracy"])


def make(problem: Problem, steps_per_call: int) -> Run:
    """Runs one `fit` of many epochs, without the progress bar, which would print at each call."""
    model = models.build_model(problem)
    model.compile(
        models.build_optimizer(),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
        steps_per_execution=steps_per_call,
    )
    gate = Gate()
    gate.start(
        lambda: model.fit(
            batches(problem.batch_size),
            steps_per_epoch=problem.fit_epoch,
            epochs=_EPOCHS,
            callbacks=[_EpochEnds(gate, problem.fit_epoch)],
            verbose=0,
        )
    )
    return gate.run
