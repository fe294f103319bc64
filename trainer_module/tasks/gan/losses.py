"""The losses of a Wasserstein GAN with gradient penalty.

Gulrajani et al., Improved Training of Wasserstein GANs, arXiv:1704.00028: algorithm 1.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

Critic = Callable[[tf.Tensor], tf.Tensor]
"""Images [b, ...] -> scores [b]."""


def critic_loss(_labels: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
    """Returns how much better samples score than images, [b].

    Its negative mean estimates the Wasserstein distance between the two.

    Args:
        scores: [b, 2], of the image and of the sample.
    """
    return scores[:, 1] - scores[:, 0]


def gradient_penalty(critic: Critic, images: tf.Tensor) -> tf.Tensor:
    """Returns (|d score / d image| - 1)^2 of each row, [b].

    The tape is nested in the step's, which differentiates the gradient once more, with respect to
    the critic's weights. A row's score has to depend on that row alone.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        scores = critic(images)
    gradient = tf.reshape(tape.gradient(scores, images), [tf.shape(images)[0], -1])
    # The square root has no derivative at 0, where a critic that sees nothing would be.
    norm = tf.sqrt(tf.reduce_sum(tf.square(gradient), axis=1) + 1e-12)
    return tf.square(norm - 1.0)


def interpolate(images: tf.Tensor, samples: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
    """Returns points between images and samples [b, ...]; shares [b] are the images'."""
    shares = tf.reshape(shares, [-1, *[1] * (images.shape.rank - 1)])
    return samples + shares * (images - samples)
