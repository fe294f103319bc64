"""The image task: a classifier of pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import tensorflow as tf
import tf_keras as keras

from trainer_module.tasks import losses
from trainer_module.tasks.base import Classification, Head, Task, Tensors
from trainer_module.tasks.image import features
from trainer_module.tasks.image.model import CLASS_HEAD, FILTERS, Network, build_model

_TOP_K = (3, 5)


class Image(Task):
    """The classes of one's own pictures.

    Args:
        classes: names in the order of their numbers; the served model answers with them.
        image_size: that pictures are resized to: the side of a square, or [height, width].
        channels: 1 for grey, 3 for colour.
        column: of the encoded picture.
        network: residual, or small: plain convolutions, for pictures as simple as digits.
        filters: of each stage of the network; None for those of `FILTERS`.
        blocks: residual blocks, or convolutions of the small network, in each stage.
        stem_stride: 1, or 2 for all stages at half the resolution in about a third of the time.
        dropout: fraction of the embedding dropped in training.

    Raises:
        ValueError: if one of them is not allowed.
    """

    preprocessing_fn = staticmethod(features.preprocessing_fn)
    column_problems = staticmethod(features.column_problems)
    columns_read = staticmethod(features.columns_read)

    def __init__(
        self,
        classes: Sequence[str],
        image_size: int | Sequence[int] = 32,
        channels: int = 3,
        column: str = "image",
        network: Network = "residual",
        filters: Sequence[int] | None = None,
        blocks: int = 1,
        stem_stride: int = 1,
        dropout: float = 0.0,
    ) -> None:
        _check("classes", classes, _are_names(classes), "two names or more, each once; in quotes")
        _check("channels", channels, channels in (1, 3), "1 for grey, 3 for colour")
        _check("network", network, network in get_args(Network), ", ".join(get_args(Network)))
        widths = FILTERS[network] if filters is None else tuple(filters)
        _check("filters", filters, widths and min(widths) > 0, "numbers above 0, one a stage")
        _check("blocks", blocks, blocks > 0, "a number above 0")
        _check("stem_stride", stem_stride, stem_stride in (1, 2), "1 or 2")
        _check("dropout", dropout, 0 <= dropout < 1, "0 or more, below 1")
        self.class_names = tuple(classes)
        self._image_size = features.sides(image_size)
        self._channels = channels
        self._column = column
        self._network: Network = network
        self._filters = widths
        self._blocks = blocks
        self._stem_stride = stem_stride
        self._dropout = dropout
        self._head = Head(
            name=CLASS_HEAD,
            label=features.CLASS,
            loss=losses.softmax_cross_entropy,
            served="probabilities",
            metrics={"accuracy": losses.class_hit}
            | {f"top{k}": losses.top_k_hit(k) for k in _TOP_K if k < len(self.class_names)},
        )

    @property
    def label_values(self) -> Sequence[str | int]:
        """The names of the classes, and their numbers."""
        return [*self.class_names, *range(len(self.class_names))]

    @property
    def heads(self) -> Sequence[Head]:
        return (self._head,)

    def transform_options(self) -> Mapping[str, Any]:
        """Returns what the features are made by: classes, size, channels and column."""
        return {
            "classes": list(self.class_names),
            "image_size": list(self._image_size),
            "channels": self._channels,
            "column": self._column,
        }

    def build_model(self, feature_spec: Mapping[str, Any]) -> keras.Model:
        return build_model(
            image_shape=feature_spec[features.IMAGE].shape,
            classes=len(self.class_names),
            network=self._network,
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


def _check(name: str, found: Any, is_allowed: Any, allowed: str) -> None:
    if not is_allowed:
        raise ValueError(f"{name}: found {found!r}; allowed: {allowed}")


def _are_names(classes: Sequence[str]) -> bool:
    texts = [name for name in classes if isinstance(name, str) and name]
    return not isinstance(classes, str) and 2 <= len(classes) == len(texts) == len(set(texts))
