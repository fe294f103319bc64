"""Sums, extremes and quantiles that are exact, and the same bits whatever came first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest

from trainer_module.tasks.tabular.features import summary
from trainer_module.tasks.tabular.features.summary import Histogram, Summary

MEAN, DEVIATION, LEAST, GREATEST, MEDIAN = range(5)
ALL = (0, 1, 2, 3)


@pytest.fixture(scope="module")
def table() -> np.ndarray:
    """[5000, 4]: far from 0, of all magnitudes and signs with subnormals, of few values, empty."""
    rng = np.random.default_rng(0)
    far = rng.normal(1.4e9, 1e3, 5000)
    wide = np.exp(rng.normal(0.0, 20.0, 5000)) * rng.choice([-1.0, 1.0], 5000)
    wide[:3] = 1e-44, -0.0, 0.0
    few = rng.integers(-3, 3, 5000).astype(float)
    few[rng.random(5000) < 0.3] = np.nan
    return np.stack([far, wide, few, np.full(5000, np.nan)], axis=1).astype(np.float32)


def _summarized(table: np.ndarray, parts: int, seed: int) -> Summary:
    """Summarizes parts of the rows, in any order, and merges them in any order."""
    rng = np.random.default_rng(seed)
    found = [Summary.of(part, ALL) for part in np.array_split(rng.permutation(table), parts)]
    while len(found) > 1:
        one = found.pop(rng.integers(len(found)))
        other = found.pop(rng.integers(len(found)))
        found.append(one.merged(other))
    return found[0]


def _exact(values: Sequence[float]) -> tuple[float, float]:
    """Returns mean and deviation by fractions."""
    exact = [Fraction(float(value)) for value in values]
    mean = sum(exact) / len(exact)
    variance = sum((value - mean) ** 2 for value in exact) / len(exact)
    return float(mean), math.sqrt(variance)


def test_statistics_when_values_are_of_any_size_then_are_the_exact_ones_rounded_once(table):
    found = Summary.of(table, ALL).statistics()
    for column in (0, 1, 2):
        values = table[:, column][~np.isnan(table[:, column])]
        assert tuple(found[column, : DEVIATION + 1]) == _exact(values)
        assert found[column, LEAST] == values.min()
        assert found[column, GREATEST] == values.max()
        assert found[column, MEDIAN] == np.sort(values)[(len(values) - 1) // 2]
    assert not found[3].any()


@pytest.mark.parametrize(("parts", "seed"), [(2, 1), (17, 2), (500, 3)])
@pytest.mark.parametrize("most", [2**14, 64])
def test_summary_when_rows_are_shuffled_and_divided_then_is_the_same_bits(
    table, parts, seed, most, monkeypatch
):
    """Also where values go into bins, which some parts of the rows need not and others do."""
    monkeypatch.setattr(summary, "MOST_BINS", most)
    whole, found = Summary.of(table, ALL), _summarized(table, parts, seed)
    assert found.statistics().tobytes() == whole.statistics().tobytes()
    for column in ALL:
        one, other = whole.histograms[column], found.histograms[column]
        assert (one.level, one.bins.tobytes()) == (other.level, other.bins.tobytes())
        assert one.counts.tobytes() == other.counts.tobytes()
        edges = [s.boundaries(column, 10, 9).tobytes() for s in (whole, found)]
        assert edges[0] == edges[1]


def test_quantiles_when_values_are_more_than_bins_then_are_as_near_as_promised():
    values = np.random.default_rng(0).lognormal(0.0, 3.0, 200_000).astype(np.float32)
    histogram = Histogram.of(values)
    assert histogram.level > 0
    assert len(histogram.bins) <= summary.MOST_BINS
    ranks = [2_000, 50_000, 100_000, 199_000]
    octaves = np.log2(values.max() / values.min())
    np.testing.assert_allclose(
        histogram.at_ranks(ranks), np.sort(values)[ranks], rtol=octaves / 2**13
    )


def test_boundaries_when_values_are_distinct_then_buckets_are_of_one_size():
    values = np.random.default_rng(0).permutation(100).astype(np.float32)[:, np.newaxis]
    edges = Summary.of(values, [0]).boundaries(0, 4, 3)
    np.testing.assert_array_equal(edges, [25, 50, 75])


def test_boundaries_when_most_values_are_equal_then_these_have_a_bucket_of_their_own():
    values = np.array([0] * 90 + list(range(1, 11)), np.float32)[:, np.newaxis]
    edges = Summary.of(values, [0]).boundaries(0, 5, 7)
    np.testing.assert_array_equal(edges, [1] + [np.inf] * 6)


def test_boundaries_when_distinct_values_are_fewer_then_each_has_a_bucket():
    values = np.array([3, 1, 1, 1, 2, 1], np.float32)[:, np.newaxis]
    edges = Summary.of(values, [0]).boundaries(0, 4, 3)
    np.testing.assert_array_equal(edges, [2, 3, np.inf])


def test_summary_when_there_are_no_rows_then_all_is_0():
    found = Summary.of(np.zeros([0, 2], np.float32), [0])
    np.testing.assert_array_equal(found.statistics(), np.zeros([2, 5]))
    np.testing.assert_array_equal(found.boundaries(0, 3, 2), [np.inf, np.inf])
