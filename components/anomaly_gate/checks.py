"""What ruins a training and breaks no schema: no rows, no labels, a label that never changes."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tensorflow_metadata.proto.v0 import statistics_pb2

from components.anomaly_gate.findings import ALL_FEATURES, TRAIN, Finding, Statistics, common
from components.anomaly_gate.rules import LABEL_CONSTANT, MISSING_VALUES, NOT_FINITE, ROWS
from components.statistics import feature_statistics

RULES = "(every run)"
"""What these expectations come from."""


def own_findings(statistics: Statistics, label: str, min_rows: int) -> list[Finding]:
    """Returns what is wrong with the splits, whatever the schema says.

    Args:
        label: has a value in every row, more than one value, and a finite one.
        min_rows: of each split.
    """
    return [
        *_too_few_rows(statistics, min_rows),
        *_without_label(statistics, label),
        *_constant_label(statistics, label),
        *_not_finite(statistics),
    ]


def _too_few_rows(statistics: Statistics, min_rows: int) -> Iterator[Finding]:
    for split, found in statistics.items():
        rows = _rows(found)
        if rows < min_rows:
            yield Finding(
                ALL_FEATURES, ROWS, ROWS, f"{min_rows} rows or more", f"{rows}", RULES, (split,)
            )


def _without_label(statistics: Statistics, label: str) -> Iterator[Finding]:
    without = {}
    for split, found in statistics.items():
        feature = feature_statistics(found, label)
        if feature is not None:
            missing = _rows(found) - int(common(feature).num_non_missing)
            if missing > 0:
                without[split] = missing
    if without:
        rows, missing = sum(map(_rows, statistics.values())), sum(without.values())
        found_text = f"missing in {missing} of {rows} rows"
        yield Finding(
            *(label, MISSING_VALUES, MISSING_VALUES, "a label in every row", found_text, RULES),
            *(tuple(without), missing / rows),
        )


def _constant_label(statistics: Statistics, label: str) -> Iterator[Finding]:
    feature = feature_statistics(statistics["train"], label) if "train" in statistics else None
    if feature is None or _rows(statistics["train"]) < 2:
        return
    kind = feature.WhichOneof("stats")
    if kind == "num_stats":
        low, high = feature.num_stats.min, feature.num_stats.max
        constant = f"{low:g}" if low == high else None
    elif kind == "string_stats" and feature.string_stats.unique == 1:
        buckets = feature.string_stats.rank_histogram.buckets
        constant = buckets[0].label if buckets else "one value"
    else:
        constant = None
    if constant is not None:
        yield Finding(
            *(label, LABEL_CONSTANT, LABEL_CONSTANT, "more than one value"),
            *(f"{constant} in every row", TRAIN, ("train",)),
        )


def _not_finite(statistics: Statistics) -> Iterator[Finding]:
    splits: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    for split, found in statistics.items():
        for feature in found.datasets[0].features:
            if feature.WhichOneof("stats") != "num_stats":
                continue
            number = feature.num_stats
            nans = max((int(one.num_nan) for one in number.histograms), default=0)
            infinite = any(math.isinf(bound) for bound in (number.min, number.max))
            if nans or infinite:
                name = ".".join(feature.path.step) or feature.name
                splits.setdefault(name, []).append(split)
                counts[name] = counts.get(name, 0) + nans
    for name, found_in in splits.items():
        found_text = f"{counts[name]} NaN" if counts[name] else "an infinite value"
        yield Finding(
            *(name, NOT_FINITE, NOT_FINITE, "finite numbers", found_text, RULES, tuple(found_in))
        )


def _rows(statistics: statistics_pb2.DatasetFeatureStatisticsList) -> int:
    return int(statistics.datasets[0].num_examples)
