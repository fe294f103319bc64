"""The same rows give the same bits, in whatever order, batches and shards they come."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

OPTIONS: dict[str, Any] = {
    "problem": "regression",
    "features": {
        "price": {"kind": "numeric"},
        "size": {"kind": "numeric", "scale": "log", "missing": "median"},
        "place": {"kind": "numeric", "buckets": 7},
        "city": {"kind": "categorical", "top_k": 5},
        "prose": {"kind": "text", "top_k": 9, "min_count": 1},
    },
    "crosses": [{"of": ["city", "place"], "buckets": 50}],
}


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """300 rows, a tenth of their values missing; many cities and words are equally frequent."""
    rng = np.random.default_rng(0)
    columns = {
        "label": np.exp(rng.normal(10.0, 1.0, 300)),
        "price": rng.normal(1e6, 0.5, 300),
        "size": np.exp(rng.normal(0.0, 5.0, 300)),
        "place": rng.normal(41.9, 0.01, 300),
        "city": [f"city {i % 20}" for i in range(300)],
        "prose": [f"word{i % 30} word{i % 12}" for i in range(300)],
    }
    return [
        {
            name: None
            if name != "label" and rng.random() < 0.1
            else values[i]
            if isinstance(values, list)
            else float(values[i])
            for name, values in columns.items()
        }
        for i in range(300)
    ]


@pytest.fixture(scope="module")
def in_order(transform: Callable, rows: list) -> Any:
    return transform(rows, OPTIONS, batch=300)


def _bits(features: Mapping[str, np.ndarray]) -> dict[str, bytes]:
    return {name: values.tobytes() for name, values in features.items()}


@pytest.mark.parametrize(("seed", "batch"), [(1, 7), (2, 64)])
def test_transform_when_rows_are_shuffled_and_batched_otherwise_then_gives_the_same_bits(
    transform, rows, in_order, seed, batch
):
    order = np.random.default_rng(seed).permutation(len(rows))
    found = transform(rows, OPTIONS, order=order, batch=batch)
    assert _bits(found.features) == _bits(in_order.features)
    vocabularies = [t.output.vocabulary_by_name("vocabulary") for t in (found, in_order)]
    assert vocabularies[0] == vocabularies[1]


def test_label_when_a_regression_then_is_as_it_was_and_its_scale_is_that_of_training(
    rows, in_order
):
    labels = np.array([row["label"] for row in rows], np.float32)
    np.testing.assert_array_equal(in_order.features["label"], labels)
    wide = labels.astype(np.float64)
    expected = np.float32([wide.mean(), wide.std()])
    np.testing.assert_array_equal(in_order.features["label_scale"], [expected] * len(rows))


def test_served_graph_when_a_regression_has_no_label_then_gives_all_else(rows, in_order):
    served = in_order.served(in_order.rows, leave_out=["label"])
    expected = {k: v for k, v in in_order.features.items() if k != "label"}
    assert _bits(served) == _bits(expected)


def test_transform_options_when_only_the_model_changes_then_stay_the_same(in_order):
    from trainer_module.tasks.tabular import Tabular

    city = {**OPTIONS["features"]["city"], "embedding": 7}
    wider = {**OPTIONS, "hidden": [5], "features": {**OPTIONS["features"], "city": city}}
    options = in_order.task.transform_options()
    assert Tabular(**wider).transform_options() == options == json.loads(json.dumps(options))
