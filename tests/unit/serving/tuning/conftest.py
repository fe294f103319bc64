"""A small model to measure."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def small_model(tmp_path_factory):
    """A version's folder: `serving_default` doubles `x`, float32 of shape [batch, 3]."""
    import tensorflow as tf

    class Doubles(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])
        def double(self, x):
            return {"y": 2.0 * x}

    folder = tmp_path_factory.mktemp("models") / "double" / "1"
    module = Doubles()
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.double})
    return folder
