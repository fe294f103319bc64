"""The random numbers of a training's augmentation: a function of (seed, step, row of the batch)."""

from __future__ import annotations

import tensorflow as tf

from trainer_module.data.split import Plan, Share, Tensors


def augment_steps(
    rows: Tensors, steps: tf.Tensor, replica: tf.Tensor, plan: Plan, share: Share
) -> Tensors:
    """Augments a replica's rows of one or more steps, if the plan has an augmentation.

    The numbers are drawn for the whole global batch, and the replica takes those of its rows: a
    row is changed in the same way however many replicas share the step.

    Args:
        rows: [len(steps) * part, *shape] each, where part is `batch_size / share.replicas`.
        steps: [n], int64.
        replica: index among all replicas, int64 scalar.
    """
    augment = plan.augment
    if augment is None:
        return rows
    part = plan.batch_size // share.replicas

    def draw(step: tf.Tensor) -> tf.Tensor:
        uniforms = tf.random.stateless_uniform(
            [plan.batch_size, augment.draws], seed=tf.stack([tf.cast(plan.seed, tf.int64), step])
        )
        first = tf.cast(replica, tf.int32) * part
        return tf.ensure_shape(uniforms[first : first + part], [part, augment.draws])

    uniforms = tf.map_fn(draw, steps, fn_output_signature=tf.float32)
    return augment(rows, tf.reshape(uniforms, [-1, augment.draws]))
