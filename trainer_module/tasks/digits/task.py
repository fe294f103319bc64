"""The digits task: classes and attributes from one backbone, losses weighted 1 and 0.5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from trainer_module.tasks import losses
from trainer_module.tasks.base import Classification, Head, Task, Tensors
from trainer_module.tasks.digits import features
from trainer_module.tasks.digits.model import ATTRIBUTE_HEAD, CLASS_HEAD, build_model


class Digits(Task):
    """Ten classes, and the stroke mass and slant of the writing.

    Args:
        filters: of the first two convolutions; the third has twice as many.
        embedding: width of the embedding.
        dropout: fraction of the embedding dropped in training.
        attribute_weight: of the attribute head's loss; the class head's is 1.
    """

    class_names = tuple(str(digit) for digit in range(10))
    preprocessing_fn = staticmethod(features.preprocessing_fn)

    def __init__(
        self,
        filters: int = 32,
        embedding: int = 128,
        dropout: float = 0.3,
        attribute_weight: float = 0.5,
    ) -> None:
        self._filters = filters
        self._embedding = embedding
        self._dropout = dropout
        self._heads = (
            Head(
                name=CLASS_HEAD,
                label=features.CLASS,
                loss=losses.softmax_cross_entropy,
                served="probabilities",
                metrics={"accuracy": losses.class_hit},
            ),
            Head(
                name=ATTRIBUTE_HEAD,
                label=features.ATTRIBUTE,
                loss=losses.squared_error,
                served="attribute",
                weight=attribute_weight,
                metrics={"mae": losses.absolute_error},
            ),
        )

    @property
    def heads(self) -> Sequence[Head]:
        return self._heads

    def build_model(self, feature_spec: Mapping[str, Any]) -> keras.Model:
        return build_model(
            classes=len(self.class_names),
            attributes=len(features.ATTRIBUTE_NAMES),
            filters=self._filters,
            embedding=self._embedding,
            dropout=self._dropout,
        )

    def serving_outputs(self, outputs: Tensors) -> dict[str, tf.Tensor]:
        """Returns class_id [b] int64, label [b] string, probabilities [b, 10], attribute [b, 2]."""
        class_id = tf.argmax(outputs[CLASS_HEAD], axis=-1)
        return {
            "class_id": class_id,
            "label": tf.gather(tf.constant(self.class_names), class_id),
            "probabilities": tf.nn.softmax(outputs[CLASS_HEAD]),
            "attribute": outputs[ATTRIBUTE_HEAD],
        }

    def classification(self, outputs: Tensors) -> Classification:
        """Returns all classes by their names, with their probabilities."""
        return Classification.of_all(self.class_names, tf.nn.softmax(outputs[CLASS_HEAD]))
