"""What numeric columns hold, counted exactly: the same bits whatever the order of the rows.

Floating point sums depend on the order of the summands, and quantile sketches on the order in
which they are merged, neither of which is fixed under Beam. Everything here is a sum of integers,
a minimum, a maximum or a count, and the result is a function of those.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

MOST_BINS = 2**14
"""Distinct values of a column that quantiles are exact for; more are counted in bins."""

# A float32 by IEEE 754: sign, 8 bits of exponent, 23 of mantissa; the smallest is 2^-149.
_MANTISSA = 23
_GROUPS = 2**9
_UNIT = 149
# Of the 24 bits of a mantissa with its leading one, squares are summed in halves of 12: a sum of
# 2^39 of them still fits into 64 bits.
_HALF = 12


@dataclass
class Histogram:
    """How often the values of a column occur, in bins of 2^level neighbouring float32 numbers.

    The level is the lowest with which all values fall into `MOST_BINS` bins or fewer. Since a part
    of the rows never needs a higher one than all of them, it does not depend on which parts were
    counted first. Where values span o octaves, a quantile is off by less than o/2^13 of itself.
    """

    level: int
    bins: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> Histogram:
        """Counts values [any] float32, finite."""
        bins, counts = np.unique(_ordinals(values), return_counts=True)
        return cls(0, bins, counts.astype(np.int64))._fitting()

    def merged(self, other: Histogram) -> Histogram:
        """Returns the histogram of the values of both."""
        level = max(self.level, other.level)
        bins = np.concatenate([h.bins >> np.uint32(level - h.level) for h in (self, other)])
        counts = np.concatenate([self.counts, other.counts])
        return Histogram(level, *_summed(bins, counts))._fitting()

    def _fitting(self) -> Histogram:
        level, bins, counts = self.level, self.bins, self.counts
        while len(bins) > MOST_BINS:
            level += 1
            bins, counts = _summed(bins >> np.uint32(1), counts)
        return Histogram(level, bins, counts)

    def values(self) -> np.ndarray:
        """Returns the values, float32 in ascending order; of a bin its least."""
        return _values(self.bins << np.uint32(self.level))

    def at_ranks(self, ranks: Sequence[int]) -> np.ndarray:
        """Returns the values at ranks in ascending order, 0 the least."""
        return self.values()[np.searchsorted(np.cumsum(self.counts), ranks, side="right")]


def _summed(bins: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    unique, places = np.unique(bins, return_inverse=True)
    sums = np.zeros(len(unique), np.int64)
    np.add.at(sums, places, counts)
    return unique, sums


def _ordinals(values: np.ndarray) -> np.ndarray:
    """Returns uint32 numbers in the order of the float32 values."""
    bits = values.view(np.uint32)
    sign = np.uint32(2**31)
    return np.where(bits & sign, ~bits, bits | sign)


def _values(ordinals: np.ndarray) -> np.ndarray:
    """The inverse of `_ordinals`."""
    sign = np.uint32(2**31)
    bits = np.where(ordinals & sign, ordinals & ~sign, ~ordinals)
    return np.ascontiguousarray(bits, np.uint32).view(np.float32)


@dataclass
class Summary:
    """Of n columns: sums of integers, extremes, and histograms of those whose quantiles count.

    Attributes:
        groups: which columns and parts of the range of float32, column * 2^9 + sign and exponent.
        sums: of each group, [groups, 6] int64: the values; the upper and lower halves of their
            mantissas, the halves' squares and their product.
        least, greatest: [n] float32.
        histograms: by column.
    """

    groups: np.ndarray
    sums: np.ndarray
    least: np.ndarray
    greatest: np.ndarray
    histograms: dict[int, Histogram]

    @classmethod
    def of(cls, table: np.ndarray, quantiles: Sequence[int]) -> Summary:
        """Summarizes rows [b, n] float32, NaN where there is no value."""
        columns = table.shape[1]
        table = table + np.float32(0.0)  # -0.0 is 0.0
        rows, column = np.nonzero(~np.isnan(table))
        values = table[rows, column]
        bits = values.view(np.uint32)
        group = column * _GROUPS + (bits >> _MANTISSA).astype(np.int64)
        leading = ((bits >> _MANTISSA) & 0xFF) != 0
        mantissa = (bits & (2**_MANTISSA - 1)) | (leading.astype(np.uint32) << _MANTISSA)
        high, low = (
            part.astype(np.float64) for part in (mantissa >> _HALF, mantissa & (2**_HALF - 1))
        )
        size = columns * _GROUPS
        # Sums of whole numbers below 2^53 are exact in float64.
        sums = [
            np.bincount(group, weights, size)
            for weights in (None, high, low, high * high, high * low, low * low)
        ]
        found = np.flatnonzero(sums[0])
        infinity = np.float32(np.inf)
        return cls(
            found,
            np.stack([part[found].astype(np.int64) for part in sums], axis=1),
            np.fmin.reduce(table, axis=0, initial=infinity),
            np.fmax.reduce(table, axis=0, initial=-infinity),
            {
                index: Histogram.of(table[:, index][~np.isnan(table[:, index])])
                for index in quantiles
            },
        )

    def merged(self, other: Summary) -> Summary:
        """Returns the summary of the rows of both."""
        groups, places = np.unique(np.concatenate([self.groups, other.groups]), return_inverse=True)
        sums = np.zeros((len(groups), self.sums.shape[1]), np.int64)
        np.add.at(sums, places, np.concatenate([self.sums, other.sums]))
        return Summary(
            groups,
            sums,
            np.minimum(self.least, other.least),
            np.maximum(self.greatest, other.greatest),
            {i: h.merged(other.histograms[i]) for i, h in self.histograms.items()},
        )

    def statistics(self) -> np.ndarray:
        """Returns [n, 5] float64: mean, standard deviation, least, greatest and median.

        The first two are the exact ones, rounded once; the median is the lower one, and 0 where it
        was not asked for. All are 0 for a column without values.
        """
        columns = len(self.least)
        found = np.zeros((columns, 5))
        totals = [[0, 0, 0] for _ in range(columns)]
        for group, sums in zip(self.groups.tolist(), self.sums.tolist(), strict=True):
            count, high, low, high_squares, products, low_squares = sums
            total = totals[group // _GROUPS]
            sign = -1 if group % _GROUPS >= 2**8 else 1
            shift = max(group % 2**8, 1) - 1
            squares = (high_squares << 2 * _HALF) + (products << _HALF + 1) + low_squares
            total[0] += count
            total[1] += sign * (((high << _HALF) + low) << shift)
            total[2] += squares << 2 * shift
        for index, (count, one, two) in enumerate(totals):
            if count:
                variance = (count * two - one * one) / (count**2 << 2 * _UNIT)
                found[index] = (
                    one / (count << _UNIT),
                    math.sqrt(variance),
                    self.least[index],
                    self.greatest[index],
                    self._quantiles(index, 2, of=-1)[0] if index in self.histograms else 0.0,
                )
        return found

    def boundaries(self, column: int, buckets: int, width: int) -> np.ndarray:
        """Returns the least values of all buckets but the first, [width] float32.

        Buckets hold as many values each as can be without dividing equal ones. So few distinct
        values that each can have its own bucket do, and one that is most of all, such as a 0, is
        not in a bucket with the others. Infinity follows the last.
        """
        distinct = self.histograms[column].values()
        edges = distinct if len(distinct) <= buckets else self._quantiles(column, buckets)
        edges = np.unique(np.maximum(edges, distinct[1])) if len(distinct) > 1 else distinct[1:]
        found = np.full(width, np.inf, np.float32)
        found[: len(edges)] = edges
        return found

    def _quantiles(self, column: int, parts: int, of: int = 0) -> np.ndarray:
        """Returns what stands at ranks floor(i (rows + of) / parts), i from 1 to parts - 1."""
        rows = int(self.histograms[column].counts.sum()) + of
        return self.histograms[column].at_ranks([i * rows // parts for i in range(1, parts)])


class _Summarize(beam.CombineFn):
    """Batches, each a tuple of one [b, n] float32, to a `Summary`; None for no rows."""

    def __init__(self, quantiles: Sequence[int]) -> None:
        self._quantiles = tuple(quantiles)

    def create_accumulator(self) -> Summary | None:
        return None

    def add_input(self, accumulator: Summary | None, batch: tuple[np.ndarray]) -> Summary | None:
        return _both(accumulator, Summary.of(batch[0], self._quantiles))

    def merge_accumulators(self, accumulators: Sequence[Summary | None]) -> Summary | None:
        total = None
        for accumulator in accumulators:
            total = _both(total, accumulator)
        return total

    def extract_output(self, accumulator: Summary | None) -> Summary | None:
        return accumulator


def _both(one: Summary | None, other: Summary | None) -> Summary | None:
    return (one or other) if one is None or other is None else one.merged(other)


class _Statistics(beam.PTransform):
    """The analyzer: batches to the statistics of all columns and the boundaries of some."""

    def __init__(self, columns: int, buckets: dict[int, int], quantiles: Sequence[int]) -> None:
        super().__init__()
        self._columns = columns
        self._buckets = buckets
        self._quantiles = sorted({*quantiles, *buckets})

    def expand(self, batches: beam.PCollection) -> tuple[beam.PCollection, beam.PCollection]:
        summary = batches | "Summarize" >> beam.CombineGlobally(_Summarize(self._quantiles))
        return summary | "Statistics" >> beam.Map(_statistics, self._columns), summary | (
            "Boundaries" >> beam.Map(_boundaries, self._buckets)
        )


def _statistics(summary: Summary | None, columns: int) -> np.ndarray:
    return np.zeros((columns, 5)) if summary is None else summary.statistics()


def _boundaries(summary: Summary | None, buckets: dict[int, int]) -> np.ndarray:
    found = np.full(_boundaries_shape(buckets), np.inf, np.float32)
    if summary is not None:
        for row, (column, count) in enumerate(buckets.items()):
            found[row] = summary.boundaries(column, count, found.shape[1])
    return found


def _boundaries_shape(buckets: dict[int, int]) -> list[int]:
    """One row at least: Transform takes no empty results."""
    return [max(len(buckets), 1), max(buckets.values(), default=2) - 1]


def analyze(
    table: tf.Tensor, medians: Sequence[int], buckets: dict[int, int]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Summarizes numeric columns over the training split, in one pass over all of them.

    Args:
        table: [b, n] float32, NaN where there is no value.
        medians: columns whose median is wanted.
        buckets: number of quantile buckets by column.

    Returns:
        [n, 5] float64, see `Summary.statistics`; [columns with buckets, most buckets - 1] float32,
        see `Summary.boundaries`.
    """
    columns = table.shape[1]
    return tuple(
        tft.experimental.ptransform_analyzer(
            [table],
            _Statistics(columns, buckets, medians),
            [tf.float64, tf.float32],
            [[columns, 5], _boundaries_shape(buckets)],
            name="numbers",
        )
    )
