"""The cifar10 task: a classifier of pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from trainer_module.tasks import losses
from trainer_module.tasks.base import Classification, Head, Task, Tensors
from trainer_module.tasks.cifar10 import features
from trainer_module.tasks.cifar10.model import CLASS_HEAD, build_model

_TOP_K = (3, 5)


class Cifar10(Task):
    """Ten classes of pictures, or the classes of one's own image folder.

    Args:
        filters: of each stage of the network.
        blocks: residual blocks in each stage.
        stem_stride: 1, or 2 for all stages at half the resolution in about a third of the time.
        dropout: fraction of the embedding dropped in training.
        classes: names in the order of their numbers, as `transform.options` has them too.
    """

    preprocessing_fn = staticmethod(features.preprocessing_fn)

    def __init__(
        self,
        filters: Sequence[int] = (64, 128, 256),
        blocks: int = 1,
        stem_stride: int = 1,
        dropout: float = 0.0,
        classes: Sequence[str] = features.CLASSES,
    ) -> None:
        self._filters = tuple(filters)
        self._blocks = blocks
        self._stem_stride = stem_stride
        self._dropout = dropout
        self.class_names = tuple(classes)
        self._head = Head(
            name=CLASS_HEAD,
            label=features.CLASS,
            loss=losses.softmax_cross_entropy,
            served="probabilities",
            metrics={"accuracy": losses.class_hit}
            | {f"top{k}": losses.top_k_hit(k) for k in _TOP_K if k < len(self.class_names)},
        )

    @property
    def heads(self) -> Sequence[Head]:
        return (self._head,)

    def build_model(self, feature_spec: Mapping[str, Any]) -> keras.Model:
        return build_model(
            image_shape=feature_spec[features.IMAGE].shape,
            classes=len(self.class_names),
            filters=self._filters,
            blocks=self._blocks,
            stem_stride=self._stem_stride,
            dropout=self._dropout,
        )

    def serving_outputs(self, outputs: Tensors) -> dict[str, tf.Tensor]:
        """Returns class_id [b] int64, label [b] string, probabilities [b, classes]."""
        class_id = tf.argmax(outputs[CLASS_HEAD], axis=-1)
        return {
            "class_id": class_id,
            "label": tf.gather(tf.constant(self.class_names), class_id),
            "probabilities": tf.nn.softmax(outputs[CLASS_HEAD]),
        }

    def classification(self, outputs: Tensors) -> Classification:
        """Returns all classes by their names, with their probabilities."""
        return Classification.of_all(self.class_names, tf.nn.softmax(outputs[CLASS_HEAD]))
