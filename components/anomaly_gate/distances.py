"""How far the distribution of each feature is from another data set's, measured by TFDV.

Numbers are compared by the Jensen-Shannon divergence of their quantiles: histograms of equal width,
TFDV's default, tell two samples of a heavy-tailed feature apart by their largest value alone.
Categories are compared by the largest difference of a value's share, the L-infinity norm.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from components.anomaly_gate.config import DistanceConfig
from components.anomaly_gate.findings import Finding, common
from components.anomaly_gate.rules import DRIFT
from components.statistics import features_by_name

_L_INFINITY, _JENSEN_SHANNON = "l_infinity", "jensen_shannon_divergence"
MISSING = "missing"

# 99% quantiles under no difference: Kolmogorov's, which bounds that of the shares (Massart's
# inequality), and chi square's for the 20 cells that two sets of deciles make.
_KOLMOGOROV_99 = 1.63
_CHI_SQUARE_99 = 36.2


@dataclass(frozen=True)
class Distance:
    """Of one feature in two data sets.

    Attributes:
        measure: `jensen_shannon_divergence` in bits, `l_infinity`, or `missing`, the change of the
            share of rows without a value; all from 0 to 1.
        threshold: what is still allowed, `chance` not counted.
        chance: what the numbers of rows alone may make of two samples of the same thing.
        detail: the category that differs most, or both shares of rows; "" for numbers.
    """

    feature: str
    measure: str
    distance: float
    threshold: float
    chance: float
    detail: str

    @property
    def is_too_far(self) -> bool:
        return self.distance > self.threshold + self.chance


def measure(
    current: statistics_pb2.DatasetFeatureStatisticsList,
    other: statistics_pb2.DatasetFeatureStatisticsList,
    schema: schema_pb2.Schema,
    config: DistanceConfig,
    comparison: str,
) -> list[Distance]:
    """Returns the distances of the features that both data sets have.

    Args:
        schema: of `current`; a comparator that its file has set holds, but for the features that
            `config` names.
        comparison: `drift` from the previous data, or `skew` to the served ones.
    """
    compared = schema_pb2.Schema()
    compared.CopyFrom(schema)
    for feature in compared.feature:
        _set_comparator(feature, config, f"{comparison}_comparator")
    role = "previous_statistics" if comparison == DRIFT else "serving_statistics"
    anomalies = tfdv.validate_statistics(current, compared, **{role: other})
    measurement_type = anomalies_pb2.DriftSkewInfo.Measurement
    names = {
        measurement_type.L_INFTY: _L_INFINITY,
        measurement_type.JENSEN_SHANNON_DIVERGENCE: _JENSEN_SHANNON,
    }
    every = [features_by_name(statistics) for statistics in (current, other)]
    distances = []
    for info in anomalies.drift_skew_info:
        name = ".".join(info.path.step)
        stats = [features.get(name) for features in every]
        if None in stats or len({one.WhichOneof("stats") for one in stats if one}) > 1:
            continue  # a number now and a text before have no distance
        rows = [int(common(one).num_non_missing) for one in stats if one]
        for found in getattr(info, f"{comparison}_measurements"):
            if found.type in names and all(rows):
                distances.append(
                    Distance(
                        name,
                        names[found.type],
                        round(found.value, 6),
                        found.threshold,
                        chance(names[found.type], *rows),
                        _most_apart(anomalies, name),
                    )
                )
    return distances


def chance(measure_name: str, rows: int, other_rows: int) -> float:
    """Returns how far apart two samples of one distribution are, at most, 99 times in 100.

    Args:
        rows, other_rows: of the two samples.
    """
    spread = 1 / rows + 1 / other_rows
    if measure_name == _L_INFINITY:
        return round(_KOLMOGOROV_99 * math.sqrt(spread), 6)
    # The divergence of two samples is chi square's sum over 8, to second order, in nats.
    return round(_CHI_SQUARE_99 / (8 * math.log(2)) * spread, 6)


def too_far(distances: list[Distance], rule: str, against: str, split: str) -> list[Finding]:
    """Returns a finding for each distance above its threshold."""
    return [
        Finding(
            feature=found.feature,
            rule=rule,
            kind=rule
            if found.measure == MISSING
            else f"comparator_{found.measure.replace('infinity', 'infty')}_high",
            expected=f"{found.measure} <= {found.threshold + found.chance:.3g}",
            found=f"{found.distance:.3g}" + (f", {found.detail}" if found.detail else ""),
            against=against,
            splits=(split,),
        )
        for found in distances
        if found.is_too_far
    ]


def _set_comparator(feature: schema_pb2.Feature, config: DistanceConfig, field: str) -> None:
    if feature.name not in config.features and feature.HasField(field):
        return
    feature.ClearField(field)
    comparator = getattr(feature, field)
    is_numeric = feature.type in (schema_pb2.INT, schema_pb2.FLOAT)
    if is_numeric and not feature.int_domain.is_categorical:
        threshold = config.features.get(feature.name, config.jensen_shannon_divergence)
        if threshold is not None:
            divergence = comparator.jensen_shannon_divergence
            divergence.threshold = threshold
            divergence.source.type = schema_pb2.HistogramSelection.QUANTILES
    elif feature.type != schema_pb2.STRUCT:
        threshold = config.features.get(feature.name, config.l_infinity)
        if threshold is not None:
            comparator.infinity_norm.threshold = threshold


def _most_apart(anomalies: anomalies_pb2.Anomalies, name: str) -> str:
    """Returns the category that TFDV names as differing most; "" for numbers."""
    for info in anomalies.anomaly_info.values():
        if ".".join(info.path.step) == name:
            found = re.search(r"maximum difference is: (.*?)\.?\s*$", info.description, re.DOTALL)
            return f"most at {found[1]}" if found else ""
    return ""
