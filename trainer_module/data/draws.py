"""The random numbers of a training's augmentation: a function of (seed, step, row of the batch)."""

from __future__ import annotations

import tensorflow as tf

from trainer_module.data.split import Augment, Share, Tensors


def augment_steps(
    augment: Augment,
    rows: Tensors,
    steps: tf.Tensor,
    replica: tf.Tensor,
    batch_size: int,
    share: Share,
    seed: int,
) -> Tensors:
    """Augments a replica's rows of one or more steps.

    The numbers are drawn for the whole global batch, and the replica takes those of its rows: a
    row is changed in the same way however many replicas share the step.

    Args:
        rows: [len(steps) * part, *shape] each, where part is `batch_size / share.replicas`.
        steps: [n], int64.
        replica: index among all replicas, int64 scalar.
    """
    part = batch_size // share.replicas

    def draw(step: tf.Tensor) -> tf.Tensor:
        uniforms = tf.random.stateless_uniform(
            [batch_size, augment.draws], seed=tf.stack([tf.cast(seed, tf.int64), step])
        )
        first = tf.cast(replica, tf.int32) * part
        return tf.ensure_shape(uniforms[first : first + part], [part, augment.draws])

    uniforms = tf.map_fn(draw, steps, fn_output_signature=tf.float32)
    return augment(rows, tf.reshape(uniforms, [-1, augment.draws]))
