"""The two tf.functions of the loop: N training steps in one call, and one pass over eval data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import tensorflow as tf
import tf_keras as keras

from trainer_module.data import WEIGHT
from trainer_module.tasks.base import Task

Sums = dict[str, tf.Tensor]

LOSS = "loss"
LEARNING_RATE = "learning_rate"
GRADIENT_NORM = "gradient_norm"


@dataclass(frozen=True)
class StepFunctions:
    """What the loop calls.

    Attributes:
        train: (iterator, n) -> sums over n steps of each step's means. n is an int32 scalar tensor,
            so that one trace serves every n. The loss includes the model's regularizers, which the
            evaluation's does not.
        evaluate: (iterator, n) -> sums over all rows of n batches, and under `WEIGHT` their count.
    """

    train: Callable[[Iterator, tf.Tensor], Sums]
    evaluate: Callable[[Iterator, tf.Tensor], Sums]


def build_step_functions(
    task: Task,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    step: tf.Variable,
    strategy: tf.distribute.Strategy,
    global_batch_size: int,
    clip_global_norm: float | None,
) -> StepFunctions:
    """Builds the functions for a model whose variables live under `strategy`.

    Args:
        step: the loop's step variable, int64 scalar; advanced once a step.
        global_batch_size: rows of a step over all replicas; losses are divided by it.
        clip_global_norm: largest global norm of the summed gradient; None for no clipping.
    """
    variables = model.trainable_variables
    head_weights = {head.name: head.weight for head in task.heads}

    # AutoGraph would convert Keras itself on the first trace, which takes 20 times as long.
    @tf.autograph.experimental.do_not_convert
    def replica_train_step(features: Mapping[str, tf.Tensor]) -> Sums:
        with tf.GradientTape() as tape:
            outputs = model(features, training=True)
            head_sums = _reduce_rows(task.losses(outputs, features))
            loss = _weighted(head_sums, head_weights) / global_batch_size
            # Layers' regularizers and add_loss terms belong to the model, not to a row.
            if model.losses:
                loss += tf.add_n(model.losses) / strategy.num_replicas_in_sync
        gradients = tape.gradient(loss, variables)
        _check_connected(variables, gradients)
        context = tf.distribute.get_replica_context()
        gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        norm = tf.linalg.global_norm(gradients)
        if clip_global_norm is not None:
            gradients, _ = tf.clip_by_global_norm(gradients, clip_global_norm, use_norm=norm)
        # The gradients are summed over replicas by now: Keras must not sum them again.
        optimizer.apply_gradients(
            zip(gradients, variables, strict=True), skip_gradients_aggregation=True
        )
        means = {
            f"{LOSS}/{name}": value / global_batch_size for name, value in head_sums.items()
        } | {
            name: value / global_batch_size
            for name, value in _reduce_rows(task.metrics(outputs, features)).items()
        }
        replicas = strategy.num_replicas_in_sync
        return means | {
            LOSS: loss,
            GRADIENT_NORM: norm / replicas,
            LEARNING_RATE: optimizer.learning_rate / replicas,
        }

    @tf.autograph.experimental.do_not_convert
    def replica_eval_step(features: Mapping[str, tf.Tensor]) -> Sums:
        weight = features[WEIGHT]
        outputs = model(features, training=False)
        head_sums = _reduce_rows(task.losses(outputs, features), weight)
        metric_sums = _reduce_rows(task.metrics(outputs, features), weight)
        return {
            LOSS: _weighted(head_sums, head_weights),
            **{f"{LOSS}/{name}": value for name, value in head_sums.items()},
            **metric_sums,
            WEIGHT: tf.reduce_sum(weight),
        }

    def all_replicas(
        replica_step: Callable[[Mapping[str, tf.Tensor]], Sums], features: object
    ) -> Sums:
        per_replica = strategy.run(replica_step, args=(features,))
        return {
            name: strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None)
            for name, value in per_replica.items()
        }

    names = [
        LOSS,
        *(f"{LOSS}/{head.name}" for head in task.heads),
        *(f"{head.name}/{metric}" for head in task.heads for metric in head.metrics),
    ]

    @tf.function
    def train(iterator: Iterator, n: tf.Tensor) -> Sums:
        sums = {name: tf.constant(0.0) for name in [*names, GRADIENT_NORM, LEARNING_RATE]}
        for _ in tf.range(n):
            values = all_replicas(replica_train_step, next(iterator))
            sums = {name: sums[name] + values[name] for name in sums}
            step.assign_add(1)
        return sums

    @tf.function
    def evaluate(iterator: Iterator, n: tf.Tensor) -> Sums:
        sums = {name: tf.constant(0.0) for name in [*names, WEIGHT]}
        for _ in tf.range(n):
            values = all_replicas(replica_eval_step, next(iterator))
            sums = {name: sums[name] + values[name] for name in sums}
        return sums

    return StepFunctions(train=train, evaluate=evaluate)


def _reduce_rows(
    values: Mapping[str, tf.Tensor], weight: tf.Tensor | None = None
) -> dict[str, tf.Tensor]:
    """Sums per-example values [b] into scalars, rows weighted by `weight` [b] where given.

    Raises:
        ValueError: if a value is not [b]; broadcast, it would train on nonsense in silence.
    """
    for name, value in values.items():
        if value.shape.rank != 1:
            raise ValueError(f"task loss or metric {name!r}: found {value.shape}; expected [b]")
    return {
        name: tf.reduce_sum(value if weight is None else value * weight)
        for name, value in values.items()
    }


def _check_connected(
    variables: Sequence[tf.Variable], gradients: Sequence[tf.Tensor | None]
) -> None:
    pairs = zip(variables, gradients, strict=True)
    unreached = [variable.name for variable, gradient in pairs if gradient is None]
    if unreached:
        raise ValueError(
            f"no loss depends on the trainable variables {', '.join(unreached)}: connect them to "
            "a head, or make their layer trainable=False"
        )


def _weighted(head_sums: Mapping[str, tf.Tensor], weights: Mapping[str, float]) -> tf.Tensor:
    return tf.add_n([weights[name] * value for name, value in head_sums.items()])
