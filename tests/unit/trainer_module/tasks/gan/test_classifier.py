"""The classifier in whose embedding samples are judged."""

from __future__ import annotations

import re

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

from trainer_module.tasks.digits.features import CLASS, IMAGE  # isort: skip
from trainer_module.tasks.gan import classifier  # isort: skip
from trainer_module.tasks.gan.make_classifier import split_digits  # isort: skip


def test_classifier_when_it_sees_digits_it_did_not_learn_from_then_97_in_100_are_right():
    _, rows = split_digits()
    outputs = classifier.load_classifier()({IMAGE: rows[IMAGE]}, training=False)
    assert np.mean(np.argmax(outputs["class"], axis=1) == rows[CLASS]) > 0.97
    assert outputs["embedding"].shape == (len(rows[CLASS]), classifier.DIMENSION)


def test_classifier_when_loaded_then_is_frozen_and_the_same_each_time():
    first, second = classifier.load_classifier(), classifier.load_classifier()
    assert first.trainable_variables == []
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_classifier_when_its_weights_are_damaged_then_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "classifier.npz"
    path.write_bytes(classifier.WEIGHTS.read_bytes()[:-1] + b"?")
    monkeypatch.setattr(classifier, "WEIGHTS", path)
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: found SHA-256 .*; allowed: "):
        classifier.load_classifier()
