"""Real data for these tests: scikit-learn's digits, raw, transformed, and analyzed by Transform."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.datasets import load_digits

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip
import tensorflow_transform as tft  # isort: skip
import tensorflow_transform.beam as tft_beam  # isort: skip
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils  # isort: skip

from trainer_module.tasks.digits import features  # isort: skip

Rows = dict[str, np.ndarray]

RAW_SPEC = {
    "image": tf.io.FixedLenFeature([64], tf.float32),
    "digit": tf.io.FixedLenFeature([1], tf.int64),
}


def _transformed(count: int, first: int) -> Rows:
    """Returns digits as `data.read_examples` would, attributes by the task's own functions."""
    images, classes = load_digits(return_X_y=True)
    image = (images[first : first + count].reshape(-1, 8, 8) / 16.0).astype(np.float32)
    mass, slant = features._stroke_mass(image).numpy(), features._slant(image).numpy()
    attribute = np.stack([(mass - 0.3) / 0.06, slant / 0.2], axis=1).astype(np.float32)
    return {
        features.ATTRIBUTE: attribute,
        features.CLASS: classes[first : first + count].astype(np.int64),
        features.IMAGE: image[..., np.newaxis],
    }


@pytest.fixture(scope="session")
def train_rows() -> Rows:
    """320 transformed digits: ten batches of 32."""
    return _transformed(320, first=0)


@pytest.fixture(scope="session")
def eval_rows() -> Rows:
    """150 other digits: 64 does not divide them."""
    return _transformed(150, first=1000)


@pytest.fixture(scope="session")
def raw_digits() -> list[dict[str, np.ndarray]]:
    """60 raw digits as Transform takes them."""
    images, classes = load_digits(return_X_y=True)
    return [
        {"image": image.astype(np.float32), "digit": np.array([digit])}
        for image, digit in zip(images[:60], classes[:60], strict=True)
    ]


@pytest.fixture(scope="session")
def digit_examples(raw_digits: list[dict[str, np.ndarray]]) -> list[bytes]:
    """The raw digits as serialized tf.Examples, without the label."""
    return [
        tf.train.Example(
            features=tf.train.Features(
                feature={"image": tf.train.Feature(float_list={"value": raw["image"]})}
            )
        ).SerializeToString()
        for raw in raw_digits
    ]


@pytest.fixture(scope="session")
def analyze(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tft.TFTransformOutput]:
    """Analyzes raw rows with a preprocessing_fn as the Transform component would."""

    def run(rows: list[dict], spec: dict, preprocessing_fn: Callable) -> tft.TFTransformOutput:
        folder = tmp_path_factory.mktemp("transform")
        metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(spec))
        with tft_beam.Context(temp_dir=str(folder / "temp")):
            transform_fn = (rows, metadata) | tft_beam.AnalyzeDataset(preprocessing_fn)
            _ = transform_fn | tft_beam.WriteTransformFn(str(folder / "output"))
        return tft.TFTransformOutput(str(folder / "output"))

    return run


@pytest.fixture(scope="session")
def digits_transform(analyze: Callable, raw_digits: list) -> tft.TFTransformOutput:
    """Transform's output for the raw digits."""
    return analyze(
        raw_digits, RAW_SPEC, lambda inputs: features.preprocessing_fn(inputs, label="digit")
    )
