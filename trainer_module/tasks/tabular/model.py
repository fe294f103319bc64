"""The network of the tabular task: embeddings of ids, dense layers, and a linear part beside them.

Cheng et al., "Wide & deep learning for recommender systems" (2016): what is crossed is learned by
heart, in the linear part, and generalized from by the deep one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from trainer_module.tasks.tabular.layout import LABEL, LABEL_SCALE, NUMERIC, PADDING, IdFeature

HEAD = LABEL
EMBEDDING = "embedding"


def embedding_length(ids: int) -> int:
    """Returns the length of the vectors of so many ids: 1.6 ids^0.56, 16 at most.

    fastai's rule for tabular data (`emb_sz_rule`), with a lower limit than its 600.
    """
    return min(16, math.ceil(1.6 * ids**0.56))


class MeanVector(keras.layers.Layer):
    """The mean of the vectors of a row's ids: [b, width] int64 to [b, length].

    Args:
        size: how many ids there are.
        length: of their vectors.
        initializer: of the vectors.
    """

    def __init__(self, size: int, length: int, initializer: str, name: str) -> None:
        super().__init__(name=name)
        self._shape = (size, length)
        self._initializer = initializer

    def build(self, _input_shape: Any) -> None:
        """Makes the vectors, [size, length]."""
        self.vectors = self.add_weight("vectors", self._shape, initializer=self._initializer)

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        """A row has one id at least, since one that holds nothing has that of `MISSING`."""
        found = tf.gather(self.vectors, ids)
        if ids.shape[1] == 1:
            return found[:, 0]
        held = tf.cast(tf.not_equal(ids, PADDING), found.dtype)[..., tf.newaxis]
        return tf.reduce_sum(found * held, axis=1) / tf.reduce_sum(held, axis=1)


def build_model(
    feature_spec: Mapping[str, Any],
    id_features: Sequence[IdFeature],
    outputs: int,
    hidden: Sequence[int],
    dropout: float,
) -> keras.Model:
    """Returns the model: transformed features to `label` and `embedding`.

    Args:
        feature_spec: of the transformed features.
        id_features: those of them that are ids.
        outputs: 1 for one number a row, `label` [b]; else logits of so many classes,
            `label` [b, outputs].
        hidden: units of each dense layer; the last one is the embedding.
        dropout: fraction of each hidden layer dropped in training.
    """
    inputs: dict[str, Any] = {}
    deep, wide = [], []
    if NUMERIC in feature_spec:
        inputs[NUMERIC] = keras.Input(feature_spec[NUMERIC].shape, name=NUMERIC)
        deep.append(inputs[NUMERIC])
    for feature in id_features:
        ids = keras.Input((feature.width,), dtype=tf.int64, name=feature.name)
        inputs[feature.name] = ids
        length = feature.embedding or embedding_length(feature.size)
        deep.append(
            MeanVector(feature.size, length, "uniform", name=f"{feature.name}_vectors")(ids)
        )
        wide.append(MeanVector(feature.size, outputs, "zeros", name=f"{feature.name}_weights")(ids))
    x = keras.layers.Concatenate(name="row")(deep) if len(deep) > 1 else deep[0]
    for index, units in enumerate(hidden, start=1):
        x = keras.layers.Dense(units, activation="relu", name=f"hidden{index}")(x)
        embedding = x
        x = keras.layers.Dropout(dropout, name=f"dropout{index}")(x)
    answers = keras.layers.Dense(outputs, name=HEAD)(x)
    if wide:
        answers = keras.layers.Add(name="wide_and_deep")([answers, *wide])
    if outputs == 1:
        answers = tf.squeeze(answers, axis=-1)
    if LABEL_SCALE in feature_spec:
        # Learned at a mean of 0 and a deviation of 1, answered in the label's own unit.
        inputs[LABEL_SCALE] = keras.Input((2,), name=LABEL_SCALE)
        mean, deviation = tf.unstack(inputs[LABEL_SCALE], axis=1)
        answers = tf.cast(answers, tf.float32) * deviation + mean
    return keras.Model(inputs, {HEAD: answers, EMBEDDING: embedding}, name="tabular")
