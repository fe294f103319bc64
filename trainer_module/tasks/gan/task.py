"""The gan task: a Wasserstein GAN with gradient penalty on the digits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from trainer_module import metrics
from trainer_module.callbacks.base import Callback
from trainer_module.config import OptimizerConfig
from trainer_module.tasks.base import Forward, Head, Phase, Signature, Task, Tensors
from trainer_module.tasks.digits.features import LARGEST_PIXEL
from trainer_module.tasks.gan import features, losses
from trainer_module.tasks.gan.classifier import DIMENSION
from trainer_module.tasks.gan.model import (
    CRITIC,
    GENERATOR,
    NOISE,
    SAMPLE,
    build_model,
    generate,
)
from trainer_module.tasks.gan.samples import SampleGrid

PENALTY = "gradient_penalty"


class Gan(Task):
    """A generator of digits, and a critic that tells its samples from real ones.

    Args:
        noise: numbers that a sample is made of.
        filters: of the narrowest layer of each player.
        d_steps: updates of the critic for one of the generator.
        penalty: weight of the gradient penalty.
        learning_rate: of both players.
        beta_1, beta_2: of both players' Adam.
        sample_epochs: how many epochs there are between two grids of samples.

    Raises:
        ValueError: if `d_steps` or `sample_epochs` is less than 1.
    """

    preprocessing_fn = staticmethod(features.preprocessing_fn)

    def __init__(
        self,
        noise: int = 32,
        filters: int = 16,
        d_steps: int = 2,
        penalty: float = 10.0,
        learning_rate: float = 1e-3,
        beta_1: float = 0.5,
        beta_2: float = 0.9,
        sample_epochs: int = 10,
    ) -> None:
        for key, found in (("d_steps", d_steps), ("sample_epochs", sample_epochs)):
            if found < 1:
                raise ValueError(f"task.options.{key}: found {found}; allowed: at least 1")
        self._noise = noise
        self._filters = filters
        self._d_steps = d_steps
        self._penalty = penalty
        self._optimizer = OptimizerConfig(
            name="adam", learning_rate=learning_rate, beta_1=beta_1, beta_2=beta_2
        )
        self._sample_epochs = sample_epochs

    @property
    def heads(self) -> Sequence[Head]:
        return (
            Head(CRITIC, label=features.CLASS, loss=losses.critic_loss, served="scores"),
            Head(
                SAMPLE,
                label=features.CLASS,
                loss=None,
                served="embeddings",
                metrics={"frechet": metrics.frechet(DIMENSION)},
            ),
        )

    def build_model(self, feature_spec: Mapping[str, Any]) -> keras.Model:
        return build_model(self._noise, self._filters)

    def phases(self, model: keras.Model) -> Sequence[Phase]:
        """Returns the critic's turn, `d_steps` times, then the generator's."""
        generator, critic = model.get_layer(GENERATOR), model.get_layer(CRITIC)
        noise = model.get_layer(NOISE)

        def sample(features_: Tensors) -> tf.Tensor:
            # The seeds only say how many.
            return generator(noise(features_[features.CLASS], training=True), training=True)

        def criticize(features_: Tensors) -> Forward:
            images, samples = features_[features.IMAGE], sample(features_)
            scores = tf.stack([critic(images, training=True), critic(samples, training=True)], 1)
            between = losses.interpolate(images, samples, noise.uniform(tf.shape(images)[0]))
            return Forward(
                {
                    CRITIC: losses.critic_loss(features_[features.CLASS], scores),
                    PENALTY: losses.gradient_penalty(critic, between),
                }
            )

        def deceive(features_: Tensors) -> Forward:
            return Forward({GENERATOR: -critic(sample(features_), training=True)})

        return [
            Phase(
                CRITIC,
                critic.trainable_variables,
                {CRITIC: 1.0, PENALTY: self._penalty},
                criticize,
                repeats=self._d_steps,
                measured=False,
                optimizer=self._optimizer,
            ),
            Phase(
                GENERATOR,
                generator.trainable_variables,
                {GENERATOR: 1.0},
                deceive,
                measured=False,
                optimizer=self._optimizer,
            ),
        ]

    def serving_outputs(self, outputs: Tensors) -> dict[str, tf.Tensor]:
        """Returns what the players and the classifier say of an image.

        class_id: [b] int64, which digit it is.
        scores: [b, 2], the critic's for the image and for a sample.
        embeddings: [b, 2 * d], the classifier's, of the image and of the sample.
        """
        return {
            "class_id": tf.argmax(outputs["class"], axis=-1),
            "scores": outputs[CRITIC],
            "embeddings": outputs[SAMPLE],
        }

    def signatures(self, model: keras.Model) -> Mapping[str, Signature]:
        """Returns `generate`: seed [b] int64 -> image [b, 8, 8] float32, pixels 0 to 16."""

        def generate_(seed: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"image": tf.squeeze(generate(model, seed), axis=-1) * LARGEST_PIXEL}

        return {"generate": Signature(generate_, {"seed": np.arange(8, dtype=np.int64)})}

    def callbacks(self, folder: str) -> Sequence[Callback]:
        return (SampleGrid(folder, self._sample_epochs),)
