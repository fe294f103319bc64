"""A training that begins with an exported model's weights."""

from __future__ import annotations

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip
import tf_keras as keras  # isort: skip

from tf_keras.src.saving.legacy.saved_model.utils import keras_option_scope  # isort: skip
from trainer_module.warm_start import begin_with, read_weights  # isort: skip


def _model(classes: int = 3, prefix: str = "") -> keras.Model:
    keras.backend.clear_session()
    return keras.Sequential(
        [
            keras.layers.Dense(4, name=f"{prefix}hidden", input_shape=(5,)),
            keras.layers.Dense(classes, name=f"{prefix}head"),
        ]
    )


@pytest.fixture
def saved(tmp_path) -> tuple[str, list[np.ndarray]]:
    """A model as an export holds it, and its weights."""
    module = tf.Module()
    module.model = _model()
    with keras_option_scope(save_traces=False):
        tf.saved_model.save(module, str(tmp_path / "model"))
    return str(tmp_path / "model"), module.model.get_weights()


def test_begin_with_when_the_model_is_the_same_then_every_weight_is_taken(saved) -> None:
    path, weights = saved
    model = _model()
    begin_with(model, read_weights(path))
    for found, expected in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_begin_with_when_a_head_has_another_size_then_it_keeps_its_own(saved, caplog) -> None:
    path, weights = saved
    model = _model(classes=7)
    fresh = model.get_weights()[2]
    with caplog.at_level("INFO", logger="tapeline.progress"):
        begin_with(model, read_weights(path))

    np.testing.assert_array_equal(model.get_weights()[0], weights[0])
    np.testing.assert_array_equal(model.get_weights()[2], fresh)
    event = caplog.records[-1].event
    assert (event["taken"], event["fresh"]) == (2, ["head/kernel:0", "head/bias:0"])


def test_begin_with_when_nothing_fits_then_is_refused(saved) -> None:
    path, _ = saved
    with pytest.raises(ValueError, match=r"train\.warm_start: found true.*allowed: false"):
        begin_with(_model(prefix="other_"), read_weights(path))
