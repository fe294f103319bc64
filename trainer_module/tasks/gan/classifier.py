"""The digits classifier in whose embedding samples are compared with real digits.

Its weights come with the package, as the Inception network's do where a Frechet distance is
usually taken: a fixed ruler. Distances are comparable between epochs, runs, machines and the
last blessed model, and every worker of a cluster has the same.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import tf_keras as keras

from trainer_module.tasks.digits.features import ATTRIBUTE_NAMES
from trainer_module.tasks.digits.model import build_model

WEIGHTS = Path(__file__).with_name("classifier.npz")

SHA256 = "dfe0351b6b748a587ca0a1ef72deffea73db4a143d44a1901155e0a71747fb8d"
"""Of the weights; part of this source, by which caches know a training."""

CLASSES, FILTERS, DIMENSION = 10, 8, 32


def build_classifier(dropout: float = 0.0) -> keras.Model:
    """Returns the network of the digits task, small: `image` to logits and `embedding`."""
    return build_model(CLASSES, len(ATTRIBUTE_NAMES), FILTERS, DIMENSION, dropout)


def load_classifier() -> keras.Model:
    """Returns the trained classifier, frozen.

    Raises:
        ValueError: if its weights are not those that `make_classifier` left.
    """
    content = WEIGHTS.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise ValueError(f"{WEIGHTS}: found SHA-256 {found}; allowed: {SHA256}")
    with np.load(io.BytesIO(content)) as arrays:
        weights = [arrays[name] for name in arrays.files]
    classifier = build_classifier()
    classifier.set_weights(weights)
    classifier.trainable = False
    return classifier
