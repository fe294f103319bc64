"""Real SavedModels that tell by their answers which version gave them."""

from __future__ import annotations

from pathlib import Path

import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

FACTORS = (2.0, 3.0, 5.0)


class Scale(tf.Module):
    """Answers x times its factor, a variable, so that a version without its files does not load."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = tf.Variable(factor)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def __call__(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x * self.factor}


@pytest.fixture(scope="session")
def scale_models(tmp_path_factory: pytest.TempPathFactory) -> dict[float, Path]:
    """SavedModels by the factor that they multiply with."""
    models = {}
    for factor in FACTORS:
        folder = tmp_path_factory.mktemp("scale") / f"factor-{factor}"
        module = Scale(factor)
        tf.saved_model.save(module, str(folder), {"serving_default": module.__call__})
        models[factor] = folder
    return models
