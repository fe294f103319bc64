"""One tf.function per step; Keras metrics updated from Python, or inside the function.

The first is the training loop that TensorFlow's and Keras' guides build up to; the second is the
short way to a faster one, shown beside it so that the reader sees what the metrics alone cost.
"""

from __future__ import annotations

from benchmarks.loop import models
from benchmarks.loop.inputs import batches
from benchmarks.loop.problems import Problem
from benchmarks.loop.training import Clock, Run, Taken

import tensorflow as tf  # isort: skip
import tf_keras as keras  # isort: skip


def make(problem: Problem, steps_per_call: int, metrics_in_graph: bool = False) -> Run:
    """Takes one step a call, whatever `steps_per_call`."""
    model, optimizer = models.build_model(problem), models.build_optimizer()
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    loss, accuracy = keras.metrics.Mean(), keras.metrics.SparseCategoricalAccuracy()
    iterator = iter(batches(problem.batch_size))

    def report(value: tf.Tensor, classes: tf.Tensor, logits: tf.Tensor) -> None:
        loss.update_state(value)
        accuracy.update_state(classes, logits)

    # Without AutoGraph, for the same graph from a quicker trace: there is nothing to convert.
    @tf.function(autograph=False)
    def train_step(images: tf.Tensor, classes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            value = loss_fn(classes, logits)
        gradients = tape.gradient(value, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        if metrics_in_graph:
            report(value, classes, logits)
        return value, logits

    def run(steps: int, _clock: Clock) -> Taken:
        loss.reset_state()
        accuracy.reset_state()
        for _ in range(steps):
            images, classes = next(iterator)
            value, logits = train_step(images, classes)
            if not metrics_in_graph:
                report(value, classes, logits)
        return Taken(steps, float(loss.result()), float(accuracy.result()))

    return run


def make_with_metrics_in_graph(problem: Problem, steps_per_call: int) -> Run:
    return make(problem, steps_per_call, metrics_in_graph=True)
