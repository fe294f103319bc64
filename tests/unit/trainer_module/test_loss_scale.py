"""The loss scale halves at an overflow, and doubles after many good steps."""

from __future__ import annotations

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.loss_scale import LossScale  # isort: skip


@pytest.fixture
def scale() -> LossScale:
    return LossScale()


def test_loss_scale_when_made_then_begins_at_2_to_the_15(scale):
    assert float(scale.read()) == 2.0**15


def test_loss_scale_when_a_step_overflows_then_halves_and_counts_anew(scale):
    scale.good_steps.assign(500)
    scale.update(tf.constant(False))
    assert (float(scale.read()), int(scale.good_steps)) == (2.0**14, 0)


def test_loss_scale_when_steps_are_good_then_doubles_at_the_2000th(scale):
    scale.good_steps.assign(1998)
    found = []
    for _ in range(3):
        scale.update(tf.constant(True))
        found.append((float(scale.read()), int(scale.good_steps)))
    assert found == [(2.0**15, 1999), (2.0**16, 0), (2.0**16, 1)]


def test_loss_scale_when_all_steps_overflow_then_stays_at_1(scale):
    for _ in range(20):
        scale.update(tf.constant(False))
    assert float(scale.read()) == 1.0


def test_loss_scale_when_restored_then_goes_on_as_it_was(scale, tmp_path):
    scale.scale.assign(64.0)
    scale.good_steps.assign(1999)
    path = tf.train.Checkpoint(scale=scale).write(str(tmp_path / "scale"))
    other = LossScale()
    tf.train.Checkpoint(scale=other).read(path).assert_existing_objects_matched()
    other.update(tf.constant(True))
    np.testing.assert_array_equal(other.read(), 128.0)
