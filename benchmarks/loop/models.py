"""What every loop trains: two small networks, one optimizer, one set of rows, one input pipeline.

The rows are scikit-learn's digits, repeated until an epoch has about as many as MNIST's: loops are
compared on steps, not on the ends of very short epochs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip
import tf_keras as keras  # isort: skip
from sklearn.datasets import load_digits  # isort: skip

from benchmarks.loop.problems import Problem  # isort: skip

CLASSES = 10
_REPEATS = 32


@dataclass(frozen=True)
class Network:
    """The tensors that a loop makes its model of: image [b, 8, 8, 1] to logits [b, 10]."""

    image: tf.Tensor
    embedding: tf.Tensor
    logits: tf.Tensor


def build_network(problem: Problem) -> Network:
    """Returns the layers of `problem`, with the same first weights each time."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    image = x = keras.Input((8, 8, 1), name="image")
    if problem.kind == "conv":
        x = layers.Conv2D(32, 3, padding="same", activation="relu")(x)
        x = layers.Conv2D(32, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D()(x)
        x = layers.Conv2D(64, 3, padding="same", activation="relu")(x)
        x = layers.Flatten()(x)
        x = layers.Dense(128, activation="relu")(x)
    else:
        x = layers.Flatten()(x)
        x = layers.Dense(64, activation="relu")(x)
        x = layers.Dense(64, activation="relu")(x)
    return Network(image, x, layers.Dense(CLASSES)(x))


def build_model(problem: Problem) -> keras.Model:
    network = build_network(problem)
    return keras.Model(network.image, network.logits)


def build_optimizer() -> keras.optimizers.Optimizer:
    return keras.optimizers.Adam(1e-3)


def rows() -> tuple[np.ndarray, np.ndarray]:
    """Returns images [rows, 8, 8, 1] float32 in 0 to 1, and their classes [rows] int64."""
    digits = load_digits()
    images = (digits.images / 16.0).astype(np.float32)[..., np.newaxis]
    return np.tile(images, (_REPEATS, 1, 1, 1)), np.tile(digits.target.astype(np.int64), _REPEATS)


def train_flops(model: keras.Model) -> int:
    """Returns the floating-point operations of one training step on one example.

    Two a multiply-add of the convolutions and matrix products of the forward pass, times three:
    the gradients by the inputs and by the weights take as many each.
    """
    forward = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            height, width = layer.output_shape[1:3]
            forward += 2 * height * width * math.prod(layer.kernel.shape)
        elif isinstance(layer, keras.layers.Dense):
            forward += 2 * math.prod(layer.kernel.shape)
    return 3 * forward
