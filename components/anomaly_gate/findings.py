"""What was found in the data against what was expected, from the anomalies that TFDV gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from components.anomaly_gate.config import WARN, Level
from components.anomaly_gate.rules import (
    COLUMN_MISSING,
    COLUMN_NEW,
    MISSING_VALUES,
    NEW_CATEGORY,
    OTHER,
    OUT_OF_RANGE,
    RULE_OF,
    TYPE_CHANGED,
    VALUE_COUNT,
)
from components.schema_file.features import (
    domain_values,
    feature_named,
    in_environment,
    range_of,
    type_name,
    valency,
)
from components.statistics import feature_statistics

SCHEMA, TRAIN, PREVIOUS, SERVING = "schema file", "train split", "previous data", "serving logs"
"""What a finding is against."""

Statistics = Mapping[str, statistics_pb2.DatasetFeatureStatisticsList]
"""By split."""

ALL_FEATURES = "(all)"
"""The feature of a finding that is about no single one."""

_WONDER = 1e-6
"""Probability below which a split without values of a column is not put down to chance."""


@dataclass(frozen=True)
class Finding:
    """One way in which data are not as expected.

    Attributes:
        feature: the column, or `(all)`.
        rule: of `rules.KINDS`.
        kind: of TFDV's anomalies, in lower case; the rule again where the check is our own.
        expected, found: for a person.
        against: what the expectation comes from.
        splits: where it was found.
        fraction: share of the rows or values at fault, where the rule has such; else None.
        by_chance: what that share may be in another sample of the same.
        level: what the policy makes of it.
    """

    feature: str
    rule: str
    kind: str
    expected: str
    found: str
    against: str
    splits: tuple[str, ...]
    fraction: float | None = None
    by_chance: float = 0.0
    level: Level = WARN


def find(
    anomalies: Mapping[str, anomalies_pb2.Anomalies],
    schema: schema_pb2.Schema,
    statistics: Statistics,
    against: str,
    environment: str,
    inferred_from: statistics_pb2.DatasetFeatureStatisticsList | None = None,
) -> list[Finding]:
    """Returns one finding for each feature and kind, over all splits together.

    Args:
        anomalies: by split, of `statistics` against `schema`.
        environment: features that are not in it are passed over.
        inferred_from: the statistics that the schema was inferred from; None if it is reviewed.
    """
    reasons: dict[tuple[str, str], dict[str, str]] = {}
    for split, found in anomalies.items():
        if found.data_missing and against == SERVING:
            # Splits are counted by a check of our own.
            reasons[ALL_FEATURES, "no_data_in_span"] = {split: "no request"}
        for name, kind, text in _reasons(found):
            if RULE_OF.get(kind) == COLUMN_MISSING and _is_by_chance(
                name, inferred_from, int(statistics[split].datasets[0].num_examples)
            ):
                continue
            expected = feature_named(schema, name)
            if expected is None or in_environment(schema, expected, environment):
                reasons.setdefault((name, kind), {})[split] = text
    findings = []
    for (name, kind), texts in reasons.items():
        if kind == "invalid_feature_shape" and _lacks_values(name, reasons):
            continue  # the same rows once more
        finding = _finding(name, kind, texts, schema, statistics, against)
        if finding.rule == NEW_CATEGORY and inferred_from is not None:
            unseen = _unseen_share(feature_statistics(inferred_from, name))
            finding = dataclasses.replace(finding, by_chance=unseen)
        findings.append(finding)
    return findings


def _is_by_chance(
    name: str, reference: statistics_pb2.DatasetFeatureStatisticsList | None, rows: int
) -> bool:
    """Returns whether so many rows without any value of a feature are nothing to wonder at."""
    if reference is None or not reference.datasets[0].num_examples:
        return False
    present = _present_rows(reference, name) / reference.datasets[0].num_examples
    return bool((1 - present) ** rows > _WONDER)


def _unseen_share(stats: statistics_pb2.FeatureNameStatistics | None) -> float:
    """Returns the share of values that a sample did not see, by the share that it saw once.

    Good, The population frequencies of species (Biometrika 1953). For identifiers it is 1.
    """
    counts = [
        bucket.sample_count
        for bucket in (stats.string_stats.rank_histogram.buckets if stats else ())
    ]
    return sum(count for count in counts if count == 1) / sum(counts) if counts else 0.0


def _lacks_values(name: str, reasons: Mapping[tuple[str, str], Any]) -> bool:
    return any(
        found == name and RULE_OF[kind] in (MISSING_VALUES, COLUMN_MISSING)
        for found, kind in reasons
    )


def _reasons(anomalies: anomalies_pb2.Anomalies) -> Iterator[tuple[str, str, str]]:
    """Yields feature, kind and TFDV's description of each anomaly."""
    for info in [*anomalies.anomaly_info.values(), anomalies.dataset_anomaly_info]:
        name = ".".join(info.path.step) or ALL_FEATURES
        for reason in info.reason:
            kind = anomalies_pb2.AnomalyInfo.Type.Name(reason.type).lower()
            yield name, kind, reason.description


def _finding(
    name: str,
    kind: str,
    texts: Mapping[str, str],
    schema: schema_pb2.Schema,
    statistics: Statistics,
    against: str,
) -> Finding:
    rule = RULE_OF.get(kind, OTHER)
    splits = tuple(texts)
    feature = feature_named(schema, name)
    stats = [feature_statistics(statistics[split], name) for split in splits]
    here = [found for found in stats if found is not None]
    expected, found, fraction = "as the schema says", next(iter(texts.values())).strip(), None
    if rule == COLUMN_MISSING and feature is not None:
        expected = f"a column of {type_name(feature.type)}"
        found = "no such column" if kind == "schema_missing_column" else "no value in any row"
    elif rule == COLUMN_NEW:
        expected = "no such column"
        found = f"a column of {statistics_type(here[0])}" if here else "a column"
    elif rule == TYPE_CHANGED and feature is not None and here:
        expected, found = type_name(feature.type), statistics_type(here[0])
    elif rule == NEW_CATEGORY and feature is not None:
        known = domain_values(schema, feature)
        expected = f"one of {few(known)}" if known else expected
        total = [feature_statistics(statistics[split], name) for split in statistics]
        new, fraction = _new_categories([one for one in total if one is not None], known)
        found = f"{few(new)} in {percent(fraction)} of the values" if new else found
    elif rule == MISSING_VALUES and feature is not None and feature.presence.min_fraction:
        least = feature.presence.min_fraction
        rows = sum(int(statistics[split].datasets[0].num_examples) for split in statistics)
        present = sum(_present_rows(statistics[split], name) for split in statistics)
        fraction = max(least - present / rows, 0.0) if rows else 1.0
        expected = f"present in {percent(least)} of the rows"
        found = f"missing in {rows - present} of {rows} rows"
    elif rule in (OUT_OF_RANGE, VALUE_COUNT) and feature is not None:
        expected = range_of(schema, feature) if rule == OUT_OF_RANGE else valency(feature)
    return Finding(name, rule, kind, expected, found, against, splits, fraction)


def _new_categories(
    stats: Sequence[statistics_pb2.FeatureNameStatistics], known: Sequence[str]
) -> tuple[list[str], float | None]:
    """Returns the values that are not known, most frequent first, and their share of all values.

    None for the share where the statistics do not list values.
    """
    counts: dict[str, float] = {}
    total = 0.0
    for one in stats:
        for bucket in one.string_stats.rank_histogram.buckets:
            counts[bucket.label] = counts.get(bucket.label, 0.0) + bucket.sample_count
        total += one.string_stats.common_stats.tot_num_values
    new = {label: count for label, count in counts.items() if label not in set(known)}
    if not total or not counts:
        return [], None
    return sorted(new, key=lambda label: (-new[label], label)), sum(new.values()) / total


def _present_rows(statistics: statistics_pb2.DatasetFeatureStatisticsList, name: str) -> int:
    found = feature_statistics(statistics, name)
    return int(common(found).num_non_missing) if found is not None else 0


def common(stats: statistics_pb2.FeatureNameStatistics) -> statistics_pb2.CommonStatistics:
    """Returns what the statistics of a feature of any type have."""
    kind = stats.WhichOneof("stats")
    return getattr(stats, kind).common_stats if kind else statistics_pb2.CommonStatistics()


def statistics_type(stats: statistics_pb2.FeatureNameStatistics) -> str:
    """Returns a feature's type as the statistics call it, such as INT or STRING."""
    return str(statistics_pb2.FeatureNameStatistics.Type.Name(stats.type))


def few(values: Sequence[str], most: int = 5) -> str:
    """Returns the first values, and how many there are where these are not all."""
    shown = ", ".join(values[:most])
    return shown if len(values) <= most else f"{shown}, ... ({len(values)})"


def percent(fraction: float | None) -> str:
    return "some" if fraction is None else f"{100 * fraction:.3g}%"
