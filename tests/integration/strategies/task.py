"""The task that every feature is tried on: two heads, no layer that differs by replica."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip
import tf_keras as keras  # isort: skip

from trainer_module.config import OptimizerConfig  # isort: skip
from trainer_module.tasks import losses  # isort: skip
from trainer_module.tasks.base import Forward, Head, Phase, Task, Tensors  # isort: skip


def rows(first: int, count: int) -> dict[str, np.ndarray]:
    """Returns digits: pixels [b, 64], class [b], ink [b], weight [b] and bright [b]."""
    images, classes = load_digits(return_X_y=True)
    image = (images[first : first + count] / 16.0).astype(np.float32)
    ink = image.mean(axis=1)
    return {
        "bright": (ink > 0.3).astype(np.int64),
        "class": classes[first : first + count].astype(np.int64),
        "ink": ink[:, np.newaxis],
        "pixels": image,
        "weight": np.linspace(0.5, 1.5, count, dtype=np.float32),
    }


class TwoHeads(Task):
    """Which digit, and how much ink."""

    def __init__(self, penalty: float = 0.0) -> None:
        self._penalty = penalty

    @property
    def heads(self) -> Sequence[Head]:
        return (
            Head("class", "class", losses.softmax_cross_entropy, "class"),
            Head("ink", "ink", losses.squared_error, "ink", weight=0.5),
            Head("bright", "bright", losses.sigmoid_cross_entropy, "bright", weight=0.1),
        )

    def build_model(self, feature_spec: Mapping[str, Any]) -> keras.Model:
        penalty = keras.regularizers.L2(self._penalty) if self._penalty else None
        pixels = keras.Input((64,), name="pixels")
        x = keras.layers.Dense(32, activation="relu", name="hidden", activity_regularizer=penalty)(
            pixels
        )
        x = keras.layers.Dense(16, activation="relu", name="embedding")(x)
        outputs = {
            "class": keras.layers.Dense(10, name="class")(x),
            "ink": keras.layers.Dense(1, name="ink")(x),
            "bright": tf.squeeze(keras.layers.Dense(1, name="bright")(x), axis=-1),
            "embedding": x,
        }
        return keras.Model({"pixels": pixels}, outputs)

    def serving_outputs(self, outputs: Tensors) -> dict[str, tf.Tensor]:
        return {name: outputs[name] for name in ("class", "ink", "bright")}


class Duel(TwoHeads):
    """Two phases with optimizers of their own: one learns the classes, one the ink, by turns."""

    def phases(self, model: keras.Model) -> Sequence[Phase]:
        def forward(features: Tensors) -> Forward:
            return Forward(self.losses(model(features, training=True), features))

        ink = [v for v in model.trainable_variables if v.name.startswith("ink")]
        rest = [v for v in model.trainable_variables if not v.name.startswith(("ink", "bright"))]
        classes = [v for v in rest if not v.name.startswith("bright")]
        sgd = OptimizerConfig(name="sgd", learning_rate=0.05)
        return [
            Phase("ink", ink, {"ink": 1.0}, forward, repeats=2, optimizer=sgd),
            Phase("classes", classes, {"class": 1.0}, forward),
        ]
