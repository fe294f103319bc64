"""A small model to ask, and rows to ask it about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.predict.rows import Row
from serving.client.metadata import Signature, TensorSpec


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    """A version whose signatures take vectors and text, tf.Examples, and pictures.

    `serving_raw` gives the sum and the double of `x` and says `word` again; `serving_default` the
    sum for tf.Examples; `pixels` and `encoded` the mean of pictures 4 high and 6 wide; `scalar`
    takes no batch and `total` gives none.
    """
    import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

    import tensorflow as tf  # isort: skip

    def function(**inputs: tf.TensorSpec):
        signature = [tf.TensorSpec(*spec, name) for name, spec in inputs.items()]
        return tf.function(input_signature=signature)

    @function(x=([None, 2], tf.float32), word=([None], tf.string))
    def serving_raw(x, word):
        return {
            "sum": tf.reduce_sum(x, axis=1),
            "twice": 2 * x,
            "echo": word,
            "echo_bytes": word,
        }

    @function(examples=([None], tf.string))
    def serving_default(examples):
        parsed = tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([2], tf.float32)})
        return {"sum": tf.reduce_sum(parsed["x"], axis=1)}

    @function(image=([None, 4, 6, 3], tf.float32))
    def pixels(image):
        return {"mean": tf.reduce_mean(image, axis=[1, 2, 3])}

    @function(image=([None], tf.string))
    def encoded(image):
        def mean(content):
            decoded = tf.io.decode_image(content, 3, expand_animations=False)
            return tf.reduce_mean(tf.cast(decoded, tf.float32))

        return {"mean": tf.map_fn(mean, image, fn_output_signature=tf.float32)}

    @function(x=([], tf.float32))
    def scalar(x):
        return {"x": x}

    @function(x=([None], tf.float32))
    def total(x):
        return {"total": tf.reduce_sum(x)}

    module = tf.Module()
    signatures = {
        "serving_raw": serving_raw,
        "serving_default": serving_default,
        "pixels": pixels,
        "encoded": encoded,
        "scalar": scalar,
        "total": total,
    }
    module.functions = list(signatures.values())
    folder = tmp_path_factory.mktemp("models") / "small" / "1"
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return folder


@pytest.fixture(scope="session")
def spec():
    """Makes signatures: `spec(x=("float32", [None, 2]))`; the type `object` is strings."""

    def make(**inputs: tuple[str, list[int | None]]) -> Signature:
        specs = {
            name: TensorSpec(np.dtype(dtype), tuple(shape))
            for name, (dtype, shape) in inputs.items()
        }
        return Signature(specs, {}, "tensorflow/serving/predict")

    return make


@pytest.fixture(scope="session")
def rows_of():
    """Makes rows of features."""

    def make(*features: dict) -> list[Row]:
        return [
            Row("rows.csv", f"row {number}", row, {})
            for number, row in enumerate(features, start=1)
        ]

    return make


@pytest.fixture(scope="session")
def picture():
    """Makes pictures of one colour: `picture("PNG", height=4, width=6)`."""
    import io

    from PIL import Image

    def make(kind: str, height: int = 4, width: int = 6, colour=(10, 20, 30)) -> bytes:
        content = io.BytesIO()
        mode = "L" if isinstance(colour, int) else "RGB"
        Image.new(mode, (width, height), colour).save(content, kind)
        return content.getvalue()

    return make
