"""Checkpoints of a training: the latest, to go on from, and the best, to export."""

from __future__ import annotations

import math
import os

import tensorflow as tf
import tf_keras as keras


class Checkpoints:
    """The `latest` and `best` checkpoints in a folder that is the training's own.

    TensorFlow writes a checkpoint beside its final name and renames it, so that a killed process
    leaves the one before. What is restored is exact: weights, optimizer slots, step, the random
    generators of layers, and the best value so far.

    Args:
        folder: made if it is missing.
        step: the loop's step variable.
        mode: 'min' or 'max', what the best value of the metric is.
    """

    def __init__(
        self,
        folder: str,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        step: tf.Variable,
        mode: str,
    ) -> None:
        self._step = step
        self._sign = 1.0 if mode == "min" else -1.0
        self._best_value = tf.Variable(math.inf, trainable=False, dtype=tf.float64)
        self._latest = tf.train.CheckpointManager(
            tf.train.Checkpoint(
                model=model,
                optimizer=optimizer,
                step=step,
                best_value=self._best_value,
                generators=_random_generators(model),
            ),
            os.path.join(folder, "latest"),
            max_to_keep=2,
        )
        self._best = tf.train.CheckpointManager(
            tf.train.Checkpoint(model=model, step=step),
            os.path.join(folder, "best"),
            max_to_keep=1,
        )

    def restore_latest(self) -> int:
        """Restores the latest checkpoint, if there is one; returns the step to go on from."""
        path = self._latest.latest_checkpoint
        if path:
            self._latest.checkpoint.restore(path).assert_existing_objects_matched()
        return int(self._step.numpy())

    def save_latest(self) -> None:
        self._latest.save(checkpoint_number=int(self._step.numpy()))

    def save_if_best(self, value: float) -> bool:
        """Saves the best checkpoint if `value` beats the best so far; says whether it did.

        Comes before `save_latest`: killed in between, the rerun repeats the epoch and saves the
        same bits once more.

        Raises:
            FloatingPointError: if `value` is not finite.
        """
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the eval metric is {value} at step {int(self._step.numpy())}"
            )
        if self._sign * value >= float(self._best_value):
            return False
        self._best.save(checkpoint_number=int(self._step.numpy()))
        self._best_value.assign(self._sign * value)
        return True

    def restore_best(self) -> int:
        """Restores the weights of the best checkpoint; returns its step."""
        path = self._best.latest_checkpoint
        self._best.checkpoint.restore(path).assert_existing_objects_matched()
        return int(self._step.numpy())


def _random_generators(model: keras.Model) -> list[tf.random.Generator]:
    """Returns the generators that layers such as Dropout draw from.

    Keras keeps them out of the checkpoint of a model; without them a training that resumes would
    drop other units than one that was not interrupted.
    """
    layers = [part for part in model.submodules if isinstance(part, keras.layers.Layer)]
    holders = [getattr(layer, "_random_generator", None) for layer in layers]
    found = [getattr(holder, "_generator", None) for holder in holders]
    return [generator for generator in found if generator is not None]
