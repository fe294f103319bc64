"""R² as TFMA computes it: scikit-learn's, whatever the bundles and their order."""

import apache_beam as beam
import numpy as np
import pandas as pd
import pytest
import tensorflow_model_analysis as tfma
from apache_beam.testing import util
from google.protobuf import text_format
from sklearn.metrics import r2_score
from tensorflow_model_analysis.metrics import metric_util

from components.evaluator.metrics import R2, R2_NAME


def computation(example_weighted=False):
    (found,) = R2().computations(example_weighted=example_weighted)
    return found


def elements(labels, predictions, weights=None):
    """Makes what TFMA hands to a metric: one element a row."""
    weights = np.ones(len(labels)) if weights is None else weights
    return [
        metric_util.to_standard_metric_inputs(
            {
                "labels": np.atleast_1d(label),
                "predictions": np.atleast_1d(prediction),
                "example_weights": np.array([weight]),
            }
        )
        for label, prediction, weight in zip(labels, predictions, weights, strict=True)
    ]


def combine(bundles, example_weighted=False):
    """Gives each bundle an accumulator of its own and merges them, as Beam's workers do."""
    metric = computation(example_weighted)
    accumulators = []
    for bundle in bundles:
        accumulator = metric.combiner.create_accumulator()
        for element in bundle:
            accumulator = metric.combiner.add_input(accumulator, element)
        accumulators.append(accumulator)
    merged = metric.combiner.merge_accumulators(accumulators)
    return metric.combiner.extract_output(merged)[metric.keys[0]]


def data(columns=None, offset=0.0, rows=120, scale=1.0):
    """Returns labels and predictions that are near them."""
    generator = np.random.default_rng(7)
    shape = (rows,) if columns is None else (rows, columns)
    noise = generator.normal(size=shape)
    labels = generator.normal(size=shape)
    return offset + scale * labels, offset + scale * (labels + 0.3 * noise)


def split(items, parts):
    return [items[start::parts] for start in range(parts)]


@pytest.mark.parametrize("columns", [None, 1, 2])
@pytest.mark.parametrize("bundles", [1, 7])
def test_r2_when_rows_come_in_bundles_then_is_that_of_scikit_learn(columns, bundles):
    labels, predictions = data(columns)
    found = combine(split(elements(labels, predictions), bundles))
    assert found == pytest.approx(r2_score(labels, predictions), rel=1e-12)


def test_r2_when_columns_differ_then_is_the_mean_of_the_columns_and_not_of_all_values():
    labels, predictions = data(2)
    labels[:, 1] *= 100
    predictions[:, 1] = labels[:, 1].mean()
    expected = (r2_score(labels[:, 0], predictions[:, 0]) + 0.0) / 2
    assert combine([elements(labels, predictions)]) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("scale", [1.0, 1e-2])
def test_r2_when_the_mean_is_large_then_is_still_exact(scale):
    labels, predictions = data(offset=1e6, scale=scale)
    found = combine(split(elements(labels, predictions), 5))
    assert found == pytest.approx(r2_score(labels, predictions), rel=1e-7)


@pytest.mark.parametrize("offset", [0.0, 3.0])
def test_r2_when_the_bundles_are_merged_in_another_order_then_differs_by_less_than_1e_12(offset):
    labels, predictions = data(2, offset=offset)
    bundles = split(elements(labels, predictions), 9)
    base = combine(bundles)
    for seed in range(10):
        order = np.random.default_rng(seed).permutation(len(bundles))
        assert combine([bundles[index] for index in order]) == pytest.approx(base, abs=1e-12)


def test_r2_when_merged_as_a_tree_then_is_as_if_merged_in_a_row():
    labels, predictions = data()
    combiner = computation().combiner
    leaves = []
    for bundle in split(elements(labels, predictions), 4):
        accumulator = combiner.create_accumulator()
        for element in bundle:
            accumulator = combiner.add_input(accumulator, element)
        leaves.append(accumulator)
    merge = combiner.merge_accumulators
    tree = merge([merge(leaves[:2]), merge([]), merge(leaves[2:])])
    np.testing.assert_allclose(tree, merge(leaves), rtol=1e-12)


def test_r2_when_bundles_are_empty_or_of_different_sizes_then_nothing_changes():
    labels, predictions = data(2)
    rows = elements(labels, predictions)
    found = combine([[], rows[:1], [], rows[1:100], rows[100:], []])
    assert found == pytest.approx(r2_score(labels, predictions), rel=1e-12)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e6 + 0.1])
@pytest.mark.parametrize("error", [0.0, 1e-3])
def test_r2_when_the_label_does_not_vary_then_is_1_if_exact_and_0_otherwise(constant, error):
    labels = np.full(10, constant)
    predictions = labels + error * np.arange(10)
    found = combine(split(elements(labels, predictions), 3))
    assert found == r2_score(labels, predictions) == (1.0 if error == 0 else 0.0)


def test_r2_when_one_column_does_not_vary_then_the_other_counts_as_usual():
    labels, predictions = data(2)
    labels[:, 1] = 4.0
    found = combine(split(elements(labels, predictions), 3))
    assert found == pytest.approx(r2_score(labels, predictions), rel=1e-12)


def test_r2_when_predictions_are_exact_then_is_1_and_when_they_are_the_mean_then_is_0():
    labels, _ = data()
    assert combine([elements(labels, labels)]) == 1.0
    mean = np.full_like(labels, labels.mean())
    assert combine([elements(labels, mean)]) == pytest.approx(0.0, abs=1e-12)


def test_r2_when_examples_are_weighted_then_is_the_weighted_one():
    labels, predictions = data()
    weights = np.random.default_rng(3).integers(0, 4, len(labels)).astype(float)
    assert (weights == 0).any()
    found = combine(split(elements(labels, predictions, weights), 4), example_weighted=True)
    expected = r2_score(labels, predictions, sample_weight=weights)
    assert found == pytest.approx(expected, rel=1e-12)


def test_r2_when_the_metric_is_not_weighted_then_weights_do_not_count():
    labels, predictions = data()
    weights = np.random.default_rng(3).uniform(0.5, 4, len(labels))
    found = combine([elements(labels, predictions, weights)])
    assert found == pytest.approx(r2_score(labels, predictions), rel=1e-12)


def test_r2_when_there_are_no_rows_or_no_weight_then_is_nan():
    assert np.isnan(combine([]))
    rows = elements([1.0, 2.0], [1.0, 2.0], [0.0, 0.0])
    assert np.isnan(combine([rows], example_weighted=True))


def test_r2_when_the_prediction_has_fewer_columns_than_the_label_then_is_an_error():
    with pytest.raises(ValueError, match=r"2.*1|1.*2"):
        combine([elements([[1.0, 2.0], [3.0, 4.0]], [[1.0], [2.0]])])


def test_r2_when_run_on_beam_over_several_sources_then_is_that_of_scikit_learn():
    labels, predictions = data(2, offset=1e3)
    metric = computation()
    parts = split(elements(labels, predictions), 3)

    def check(found):
        ((slice_key, metrics),) = found
        assert slice_key == ()
        assert list(metrics) == metric.keys
        expected = r2_score(labels, predictions)
        assert metrics[metric.keys[0]] == pytest.approx(expected, rel=1e-9)

    with beam.Pipeline(runner="DirectRunner") as pipeline:
        sources = [
            pipeline | f"Create{number}" >> beam.Create(part) for number, part in enumerate(parts)
        ]
        result = (
            sources
            | beam.Flatten()
            | beam.Map(lambda element: ((), element))
            | beam.CombinePerKey(metric.combiner)
        )
        util.assert_that(result, check)


def test_r2_when_an_eval_config_names_it_then_tfma_computes_it_for_every_slice():
    labels, predictions = data(rows=60)
    sides = np.where(np.arange(60) % 3 == 0, "left", "right")
    frame = pd.DataFrame({"label": labels, "prediction": predictions, "side": sides})
    config = text_format.Parse(
        """
        model_specs { label_key: "label" prediction_key: "prediction" }
        slicing_specs {}
        slicing_specs { feature_keys: "side" }
        metrics_specs { metrics { class_name: "R2" module: "components.evaluator.metrics"
                                  config: '"code": "hash of the source"' } }
        """,
        tfma.EvalConfig(),
    )
    result = tfma.analyze_raw_data(frame, config)
    found = {key: metrics[""][""][R2_NAME] for key, metrics in result.slicing_metrics}
    expected = {
        (): r2_score(labels, predictions),
        **{
            (("side", side),): r2_score(labels[sides == side], predictions[sides == side])
            for side in ("left", "right")
        },
    }
    # The frame's numbers pass through float32 columns of Arrow.
    assert {key: value["doubleValue"] for key, value in found.items()} == pytest.approx(
        expected, rel=1e-5
    )
