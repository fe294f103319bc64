"""The players' networks, and the model that holds them with the classifier that judges.

Layers bear the name of their network: variables are told apart by their names alone in parameter
groups, reports and a warm start.
"""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras

from trainer_module.tasks.digits.features import SIDE
from trainer_module.tasks.gan.classifier import load_classifier
from trainer_module.tasks.gan.features import IMAGE
from trainer_module.tasks.gan.noise import ImageSeed, Noise

GENERATOR = "generator"
CRITIC = "critic"
NOISE = "noise"
SAMPLE = "sample"
EMBEDDING = "embedding"


def build_generator(noise: int, filters: int) -> keras.Model:
    """Returns the generator: noise [b, noise] to images [b, 8, 8, 1] in 0 to 1, float32."""
    layers = keras.layers
    inputs = keras.Input((noise,))
    x = layers.Dense(4 * 4 * 2 * filters, activation="relu", name=f"{GENERATOR}_dense")(inputs)
    x = layers.Reshape((4, 4, 2 * filters))(x)
    x = layers.Conv2D(2 * filters, 3, padding="same", activation="relu", name=f"{GENERATOR}_conv1")(
        x
    )
    x = layers.Conv2DTranspose(
        filters, 4, 2, padding="same", activation="relu", name=f"{GENERATOR}_conv2"
    )(x)
    x = layers.Conv2D(1, 3, padding="same", name=f"{GENERATOR}_conv3")(x)
    image = layers.Activation("sigmoid", dtype="float32", name="image")(x)
    return keras.Model(inputs, image, name=GENERATOR)


def build_critic(filters: int) -> keras.Model:
    """Returns the critic: images [b, 8, 8, 1] to scores [b], float32, higher for real ones.

    Without batch normalization: the gradient penalty is of each row by itself.
    """
    layers = keras.layers
    image = keras.Input((SIDE, SIDE, 1))
    x = image
    for index, (width, stride) in enumerate(((1, 1), (2, 2), (4, 2)), start=1):
        x = layers.Conv2D(width * filters, 3, stride, padding="same", name=f"{CRITIC}_conv{index}")(
            x
        )
        x = layers.LeakyReLU(0.2)(x)
    x = layers.Flatten()(x)
    score = layers.Dense(1, dtype="float32", name=f"{CRITIC}_score")(x)
    return keras.Model(image, tf.squeeze(score, axis=-1), name=CRITIC)


def build_model(noise: int, filters: int) -> keras.Model:
    """Returns the model: `image` [b, 8, 8, 1] to what the players make of it.

    Its outputs:
        critic: scores [b, 2] of the image and of a sample, that of the image's own seed.
        sample: embeddings [b, 2 * d] of the image, then of the sample, by the classifier.
        embedding: [b, d] of the image.
        class: logits [b, 10] of the image, by the classifier.
    """
    generator, critic = build_generator(noise, filters), build_critic(filters)
    classifier = load_classifier()
    image = keras.Input((SIDE, SIDE, 1), name=IMAGE)
    sample = generator(Noise(noise, name=NOISE)(ImageSeed(name="seed")(image)))
    real, generated = classifier({IMAGE: image}), classifier({IMAGE: sample})
    outputs = {
        CRITIC: tf.stack([critic(image), critic(sample)], axis=1),
        SAMPLE: tf.concat([real[EMBEDDING], generated[EMBEDDING]], axis=1),
        EMBEDDING: real[EMBEDDING],
        "class": real["class"],
    }
    return keras.Model({IMAGE: image}, outputs, name="gan")


def generate(model: keras.Model, seeds: tf.Tensor) -> tf.Tensor:
    """Returns the samples [b, 8, 8, 1] in 0 to 1 of seeds [b] int64."""
    noise = model.get_layer(NOISE)(seeds, training=False)
    return model.get_layer(GENERATOR)(noise, training=False)
