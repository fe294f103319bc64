"""The Frechet distance as TFMA computes it: the loop's own, however rows are bundled."""

import numpy as np
import pytest
from tensorflow_model_analysis.metrics import metric_util

from components.evaluator.frechet import Frechet
from trainer_module.frechet import frechet_distance


def elements(predictions, weights=None):
    """Makes what TFMA hands to a metric: one element a row."""
    weights = np.ones(len(predictions)) if weights is None else weights
    return [
        metric_util.to_standard_metric_inputs(
            {
                "labels": np.array([3]),
                "predictions": prediction,
                "example_weights": np.array([weight]),
            }
        )
        for prediction, weight in zip(predictions, weights, strict=True)
    ]


def combine(bundles, example_weighted=False):
    """Gives each bundle an accumulator of its own and merges them, as Beam's workers do."""
    (metric,) = Frechet().computations(example_weighted=example_weighted)
    accumulators = []
    for bundle in bundles:
        accumulator = metric.combiner.create_accumulator()
        for element in bundle:
            accumulator = metric.combiner.add_input(accumulator, element)
        accumulators.append(accumulator)
    merged = metric.combiner.merge_accumulators(accumulators)
    return metric.combiner.extract_output(merged)[metric.keys[0]]


def distance(rows):
    """Returns the distance of the left half of the columns from the right one."""
    real, generated = np.split(np.asarray(rows, np.float64), 2, axis=1)
    return frechet_distance(
        real.mean(axis=0),
        np.cov(real.T, bias=True),
        generated.mean(axis=0),
        np.cov(generated.T, bias=True),
    )


@pytest.fixture
def rows():
    """Two embeddings of 60 rows, side by side."""
    generator = np.random.default_rng(3)
    mixing = generator.normal(size=(3, 3))
    real, generated = generator.normal(size=(2, 60, 3))
    return np.concatenate([real @ mixing, 2.0 * generated + 1.0], axis=1)


@pytest.mark.parametrize("bundles", [1, 7])
def test_frechet_when_rows_come_in_bundles_then_is_the_distance_of_all(rows, bundles):
    items = elements(rows)
    found = combine([[], *(items[start::bundles] for start in range(bundles))])
    assert found == pytest.approx(distance(rows), rel=1e-9)


def test_frechet_when_the_mean_is_large_then_is_still_exact(rows):
    assert combine([elements(rows + 1e6)]) == pytest.approx(distance(rows), rel=1e-6)


def test_frechet_when_rows_have_weights_then_they_count_as_often(rows):
    weights = np.arange(len(rows)) % 3
    found = combine([elements(rows, weights)], example_weighted=True)
    assert found == pytest.approx(distance(np.repeat(rows, weights, axis=0)), rel=1e-9)


def test_frechet_when_there_are_no_rows_then_is_nan():
    assert np.isnan(combine([[], []]))


def test_frechet_when_a_prediction_is_not_two_embeddings_then_is_refused(rows):
    with pytest.raises(ValueError, match=r"^frechet: found 5 numbers in a prediction; "):
        combine([elements(rows[:, :5])])
