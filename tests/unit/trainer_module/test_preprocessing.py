"""z-scores from raw data, the same bits whatever the order of the rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip
import tensorflow_transform.beam as tft_beam  # isort: skip
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils  # isort: skip

from trainer_module.preprocessing import preprocessing_fn, z_score  # isort: skip

SPEC = {
    "x": tf.io.FixedLenFeature([3], tf.float32),
    "row": tf.io.FixedLenFeature([1], tf.int64),
}
CONSTANT = 2
"""Column whose values are all the same."""


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    """[400, 3]: one column far from 0, one of many magnitudes, one constant."""
    rng = np.random.default_rng(0)
    far = rng.normal(1000.0, 0.5, size=400)
    wide = np.exp(rng.normal(0.0, 4.0, size=400))
    return np.stack([far, wide, np.full(400, 0.1)], axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def z_scores(values, tmp_path_factory) -> Callable[[np.ndarray], np.ndarray]:
    """Analyzes and transforms rows in an order; returns them in the order of `values`."""

    def run(order: np.ndarray) -> np.ndarray:
        metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(SPEC))
        rows = [{"x": values[i], "row": np.array([i])} for i in order]
        folder = str(tmp_path_factory.mktemp("transform"))
        # Small batches, so that accumulators are merged.
        with tft_beam.Context(temp_dir=folder, desired_batch_size=16):
            (transformed, _), _ = (rows, metadata) | tft_beam.AnalyzeAndTransformDataset(
                lambda inputs: {"z": z_score(inputs["x"]), "row": inputs["row"]}
            )
        by_row = {int(row["row"][0]): row["z"] for row in transformed}
        return np.stack([by_row[i] for i in range(len(by_row))])

    return run


@pytest.fixture(scope="module")
def in_order(values, z_scores) -> np.ndarray:
    return z_scores(np.arange(len(values)))


def test_z_score_when_analyzed_then_is_float64_moments_rounded_to_float32(values, in_order):
    wide = values.astype(np.float64)
    mean, variance = wide.mean(axis=0).astype(np.float32), wide.var(axis=0).astype(np.float32)
    assert in_order.dtype == np.float32
    varying = [0, 1]
    expected = ((values - mean) / np.sqrt(variance))[:, varying]
    np.testing.assert_array_max_ulp(in_order[:, varying], expected, maxulp=1)


def test_z_score_when_a_column_varies_then_has_mean_0_and_deviation_1(in_order):
    np.testing.assert_allclose(in_order[:, :2].mean(axis=0, dtype=np.float64), 0.0, atol=1e-3)
    np.testing.assert_allclose(in_order[:, :2].std(axis=0, dtype=np.float64), 1.0, rtol=1e-5)


def test_z_score_when_a_column_is_constant_then_is_0(in_order):
    np.testing.assert_array_equal(in_order[:, CONSTANT], 0.0)


def test_z_score_when_rows_come_in_another_order_then_gives_the_same_bits(in_order, z_scores):
    shuffled = z_scores(np.random.default_rng(1).permutation(len(in_order)))
    assert shuffled.tobytes() == in_order.tobytes()


def test_preprocessing_fn_when_called_then_is_that_of_the_task_with_its_label_and_options(
    monkeypatch,
):
    def of_task(inputs: dict, label: str, bins: int) -> dict:
        return {"inputs": inputs, "label": label, "bins": bins}

    monkeypatch.setattr(
        "trainer_module.tasks.digits.task.Digits.preprocessing_fn", staticmethod(of_task)
    )
    config = {"task": "digits", "label": "digit", "options": {"bins": 7}}
    inputs = {"image": tf.zeros([1, 64])}
    assert preprocessing_fn(inputs, config) == {"inputs": inputs, "label": "digit", "bins": 7}
