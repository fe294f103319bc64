"""Noise: anew in training, a function of the seed elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.state import random_generators, seed_keras  # isort: skip
from trainer_module.tasks.gan.model import NOISE, build_model  # isort: skip
from trainer_module.tasks.gan.noise import ImageSeed, Noise  # isort: skip


@pytest.fixture
def noise() -> Noise:
    seed_keras(0)
    return Noise(4)


def test_noise_when_seeds_are_equal_then_is_the_same_in_every_batch(noise):
    alone = noise(tf.constant([7], tf.int64)).numpy()
    among = noise(tf.constant([1, 2, 7, 3], tf.int64)).numpy()
    np.testing.assert_array_equal(among[2], alone[0])
    assert len(np.unique(among)) == among.size


def test_noise_when_drawn_from_many_seeds_then_is_standard_normal(noise):
    found = tf.function(noise, autograph=False)(tf.range(1000, dtype=tf.int64)).numpy()
    np.testing.assert_allclose(found.mean(axis=0), 0.0, atol=0.1)
    np.testing.assert_allclose(found.std(axis=0), 1.0, atol=0.1)


def test_noise_when_training_then_is_drawn_anew_and_goes_on_from_a_saved_state(noise):
    seeds = tf.constant([7, 7], tf.int64)
    noise(seeds, training=True)
    generator = noise._random_generator._generator
    saved = generator.state.numpy()
    first, second = (noise(seeds, training=True).numpy() for _ in range(2))
    assert not np.any(first == second)
    generator.state.assign(saved)
    np.testing.assert_array_equal(noise(seeds, training=True), first)


def test_noise_when_in_the_model_then_its_generator_is_among_those_that_a_checkpoint_holds():
    seed_keras(0)
    model = build_model(noise=4, filters=2)
    expected = model.get_layer(NOISE)._random_generator._generator
    assert any(found is expected for found in random_generators(model))


def test_image_seed_when_digits_differ_then_so_do_their_seeds():
    pixels = load_digits().data.astype(np.float32)
    seeds = ImageSeed()(tf.constant(pixels.reshape(-1, 8, 8, 1) / 16.0)).numpy()
    assert len(np.unique(seeds)) == len(np.unique(pixels, axis=0))
