"""Orbit's StandardTrainer under its Controller, as TensorFlow Model Garden trains.

Orbit comes with tf-models-official, which `make bench-loop` installs without its dependencies
into a folder of its own.
"""

from __future__ import annotations

from benchmarks.loop import models
from benchmarks.loop.inputs import batches
from benchmarks.loop.problems import Problem
from benchmarks.loop.training import Clock, Run, Taken

import orbit  # isort: skip
import tensorflow as tf  # isort: skip
import tf_keras as keras  # isort: skip


class _Trainer(orbit.StandardTrainer):
    """A trainer written as Orbit's own single-task example is."""

    def __init__(self, problem: Problem) -> None:
        self.model = models.build_model(problem)
        self.optimizer = models.build_optimizer()
        self.loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.loss = keras.metrics.Mean()
        self.accuracy = keras.metrics.SparseCategoricalAccuracy()
        super().__init__(batches(problem.batch_size))

    def train_loop_begin(self) -> None:
        self.loss.reset_state()
        self.accuracy.reset_state()

    # Otherwise AutoGraph converts Keras itself, which makes the first call slow.
    @tf.autograph.experimental.do_not_convert
    def train_step(self, iterator: tf.data.Iterator) -> None:
        images, classes = next(iterator)
        with tf.GradientTape() as tape:
            logits = self.model(images, training=True)
            value = self.loss_fn(classes, logits)
        gradients = tape.gradient(value, self.model.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.model.trainable_variables, strict=True))
        self.loss.update_state(value)
        self.accuracy.update_state(classes, logits)

    def train_loop_end(self) -> dict[str, tf.Tensor]:
        return {"loss": self.loss.result(), "accuracy": self.accuracy.result()}


def make(problem: Problem, steps_per_call: int) -> Run:
    trainer = _Trainer(problem)
    last: dict[str, tf.Tensor] = {}
    controller = orbit.Controller(
        global_step=trainer.optimizer.iterations,
        trainer=trainer,
        steps_per_loop=steps_per_call,
        train_actions=[last.update],
    )
    done = 0

    def run(steps: int, _clock: Clock) -> Taken:
        nonlocal done
        done += steps
        controller.train(done)
        return Taken(steps, float(last["loss"]), float(last["accuracy"]))

    return run
