"""The networks of the image task: a residual one and a small one.

The residual one is of He, Zhang, Ren and Sun, "Deep residual learning for image recognition"
(2016), with the shapes of its CIFAR-10 networks: 3 x 3 convolutions throughout, stages each at half
the resolution and twice the width of the one before. The small one is of plain convolutions, with a
pooling after each stage but the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import tensorflow as tf
import tf_keras as keras

from trainer_module.tasks.image.features import IMAGE

Network = Literal["residual", "small"]

FILTERS: dict[Network, tuple[int, ...]] = {"residual": (64, 128, 256), "small": (32, 64, 128)}
"""Of each stage, by the network, unless others are asked for."""

CLASS_HEAD = "class"
EMBEDDING = "embedding"

# Keras' 0.99 averages over more steps than a short training has in its last epochs.
_MOMENTUM = 0.9


def build_model(
    image_shape: Sequence[int],
    classes: int,
    network: Network,
    filters: Sequence[int],
    blocks: int,
    stem_stride: int,
    dropout: float,
) -> keras.Model:
    """Returns the model: `image` [b, *image_shape], 0 to 255, to class logits and embedding.

    Args:
        image_shape: height, width, channels.
        network: which one.
        filters: of each stage; all but the first halve the resolution.
        blocks: in each stage: residual blocks, or convolutions of the small network.
        stem_stride: of the first convolution; 2 makes all stages work at half the resolution, in
            about a third of the time.
        dropout: fraction of the embedding dropped in training.
    """
    layers = keras.layers
    image = keras.Input(tuple(image_shape), name=IMAGE)
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(image)
    stages = _residual_stages if network == "residual" else _plain_stages
    x = stages(x, filters, blocks, stem_stride)
    embedding = layers.GlobalAveragePooling2D(name=EMBEDDING)(x)
    dropped = layers.Dropout(dropout, name="dropout")(embedding)
    outputs = {CLASS_HEAD: layers.Dense(classes, name=CLASS_HEAD)(dropped), EMBEDDING: embedding}
    return keras.Model({IMAGE: image}, outputs, name=IMAGE)


def _residual_stages(
    x: tf.Tensor, filters: Sequence[int], blocks: int, stem_stride: int
) -> tf.Tensor:
    x = _convolution(x, filters[0], stem_stride, "stem")
    x = keras.layers.ReLU(name="stem_relu")(x)
    for stage, width in enumerate(filters, start=1):
        for block in range(1, blocks + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            x = _residual_block(x, width, stride, f"stage{stage}_block{block}")
    return x


def _plain_stages(x: tf.Tensor, filters: Sequence[int], blocks: int, stem_stride: int) -> tf.Tensor:
    for stage, width in enumerate(filters, start=1):
        if stage > 1:
            # Padded, so that the smallest picture too has something left to pool.
            x = keras.layers.MaxPooling2D(padding="same", name=f"stage{stage}_pool")(x)
        for block in range(1, blocks + 1):
            name = f"stage{stage}_block{block}"
            x = _convolution(x, width, stem_stride if stage == block == 1 else 1, name)
            x = keras.layers.ReLU(name=f"{name}_relu")(x)
    return x


def _convolution(x: tf.Tensor, filters: int, stride: int, name: str, size: int = 3) -> tf.Tensor:
    """A convolution without bias, which the normalization after it would undo, and that."""
    x = keras.layers.Conv2D(
        filters,
        size,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    return keras.layers.BatchNormalization(momentum=_MOMENTUM, name=f"{name}_norm")(x)


def _residual_block(x: tf.Tensor, filters: int, stride: int, name: str) -> tf.Tensor:
    """Two convolutions, and the input added to them; projected where its shape is another."""
    shortcut = x
    if stride != 1 or x.shape[-1] != filters:
        shortcut = _convolution(x, filters, stride, f"{name}_shortcut", size=1)
    y = _convolution(x, filters, stride, f"{name}_1")
    y = keras.layers.ReLU(name=f"{name}_relu1")(y)
    y = _convolution(y, filters, 1, f"{name}_2")
    y = keras.layers.Add(name=f"{name}_add")([shortcut, y])
    return keras.layers.ReLU(name=f"{name}_relu2")(y)
