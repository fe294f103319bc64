"""The network of the digits task: one convolutional backbone and two heads."""

from __future__ import annotations

import tf_keras as keras

from trainer_module.tasks.digits.features import IMAGE, SIDE

CLASS_HEAD = "class"
ATTRIBUTE_HEAD = "attribute"
EMBEDDING = "embedding"


def build_model(
    classes: int, attributes: int, filters: int, embedding: int, dropout: float
) -> keras.Model:
    """Returns the model: `image` [b, 8, 8, 1] to class logits, attributes and the embedding."""
    layers = keras.layers
    image = keras.Input((SIDE, SIDE, 1), name=IMAGE)
    x = layers.Conv2D(filters, 3, padding="same", activation="relu", name="conv1")(image)
    x = layers.Conv2D(filters, 3, padding="same", activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(name="pool")(x)
    x = layers.Conv2D(2 * filters, 3, padding="same", activation="relu", name="conv3")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(embedding, activation="relu", name=EMBEDDING)(x)
    dropped = layers.Dropout(dropout, name="dropout")(x)
    outputs = {
        CLASS_HEAD: layers.Dense(classes, name=CLASS_HEAD)(dropped),
        ATTRIBUTE_HEAD: layers.Dense(attributes, name=ATTRIBUTE_HEAD)(dropped),
        EMBEDDING: x,
    }
    return keras.Model({IMAGE: image}, outputs, name="digits")
