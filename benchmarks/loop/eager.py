"""GradientTape without a tf.function: the loop that one debugs with."""

from __future__ import annotations

from benchmarks.loop import models
from benchmarks.loop.inputs import batches
from benchmarks.loop.problems import Problem
from benchmarks.loop.training import Clock, Run, Taken

import tensorflow as tf  # isort: skip
import tf_keras as keras  # isort: skip


def make(problem: Problem, steps_per_call: int) -> Run:
    """Takes one step a call, whatever `steps_per_call`."""
    model, optimizer = models.build_model(problem), models.build_optimizer()
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    loss, accuracy = keras.metrics.Mean(), keras.metrics.SparseCategoricalAccuracy()
    iterator = iter(batches(problem.batch_size))

    def run(steps: int, _clock: Clock) -> Taken:
        loss.reset_state()
        accuracy.reset_state()
        for _ in range(steps):
            images, classes = next(iterator)
            with tf.GradientTape() as tape:
                logits = model(images, training=True)
                value = loss_fn(classes, logits)
            gradients = tape.gradient(value, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            loss.update_state(value)
            accuracy.update_state(classes, logits)
        return Taken(steps, float(loss.result()), float(accuracy.result()))

    return run
