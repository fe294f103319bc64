"""The breast cancer task: a tabular binary classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from trainer_module.tasks import losses
from trainer_module.tasks.base import Classification, Head, Task, Tensors
from trainer_module.tasks.breast_cancer import features

HEAD = "diagnosis"


class BreastCancer(Task):
    """Benign (1) or malignant (0), the labels of the data set.

    Args:
        units: of each hidden layer; the last one is the embedding.
        dropout: fraction of each hidden layer dropped in training.
    """

    class_names = ("malignant", "benign")
    preprocessing_fn = staticmethod(features.preprocessing_fn)

    def __init__(self, units: Sequence[int] = (32, 16), dropout: float = 0.2) -> None:
        self._units = tuple(units)
        self._dropout = dropout

    @property
    def heads(self) -> Sequence[Head]:
        return (
            Head(
                name=HEAD,
                label=features.DIAGNOSIS,
                loss=losses.sigmoid_cross_entropy,
                served="score",
                metrics={"accuracy": losses.binary_hit},
            ),
        )

    def build_model(self, feature_spec: Mapping[str, Any]) -> keras.Model:
        width = feature_spec[features.MEASUREMENTS].shape[0]
        measurements = keras.Input((width,), name=features.MEASUREMENTS)
        x = measurements
        for index, units in enumerate(self._units, start=1):
            x = keras.layers.Dense(units, activation="relu", name=f"hidden{index}")(x)
            embedding = x
            x = keras.layers.Dropout(self._dropout, name=f"dropout{index}")(x)
        logit = keras.layers.Dense(1, name=HEAD)(x)
        outputs = {HEAD: tf.squeeze(logit, axis=-1), "embedding": embedding}
        return keras.Model({features.MEASUREMENTS: measurements}, outputs, name="breast_cancer")

    def serving_outputs(self, outputs: Tensors) -> dict[str, tf.Tensor]:
        """Returns class_id [b] int64, label [b] string, probabilities [b, 2], score [b].

        `score` is the probability of class 1, what a threshold is set on.
        """
        score = tf.sigmoid(outputs[HEAD])
        class_id = tf.cast(score > 0.5, tf.int64)
        return {
            "class_id": class_id,
            "label": tf.gather(tf.constant(self.class_names), class_id),
            "probabilities": tf.stack([1.0 - score, score], axis=1),
            "score": score,
        }

    def classification(self, outputs: Tensors) -> Classification:
        """Returns both classes by their names, with their probabilities."""
        return Classification.of_all(
            self.class_names, self.serving_outputs(outputs)["probabilities"]
        )

    def regression(self, outputs: Tensors) -> tf.Tensor:
        """Returns the probability of class 1."""
        return self.serving_outputs(outputs)["score"]
