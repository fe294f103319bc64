"""A small model to ask, and rows to ask it about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.predict.rows import Row
from serving.client.metadata import Signature, TensorSpec
from tests.small_model import write_small_model


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    """A version whose signatures take vectors and text, tf.Examples, and pictures."""
    return write_small_model(tmp_path_factory.mktemp("models") / "small" / "1")


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
