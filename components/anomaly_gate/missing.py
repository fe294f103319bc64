"""How much a feature's share of rows without a value has changed since the previous data.

TFDV compares the values that there are, and has no comparator for those that are not.
"""

from __future__ import annotations

import math

from tensorflow_metadata.proto.v0 import statistics_pb2

from components.anomaly_gate.config import DriftConfig
from components.anomaly_gate.distances import MISSING, Distance
from components.anomaly_gate.findings import common, percent
from components.statistics import features_by_name

_NORMAL_99 = 2.576
"""A normal variable is within so many standard deviations 99 times in 100."""


def missing_changes(
    current: statistics_pb2.DatasetFeatureStatisticsList,
    previous: statistics_pb2.DatasetFeatureStatisticsList,
    config: DriftConfig,
) -> list[Distance]:
    """Returns the changes of the features that both data sets have, whichever way they went.

    A column that is gone or new, or has no value any more, is told of by rules of its own.
    """
    rows = [int(found.datasets[0].num_examples) for found in (current, previous)]
    if not all(rows):
        return []
    before = features_by_name(previous)
    found = []
    for name, stats in features_by_name(current).items():
        threshold = config.features.get(name, config.missing)
        present = int(common(stats).num_non_missing)
        if threshold is None or name not in before or not present:
            continue
        counts = rows[0] - present, rows[1] - int(common(before[name]).num_non_missing)
        shares = [count / total for count, total in zip(counts, rows, strict=True)]
        found.append(
            Distance(
                name,
                MISSING,
                round(abs(shares[0] - shares[1]), 6),
                threshold,
                chance(sum(counts) / sum(rows), *rows),
                f"from {percent(shares[1])} to {percent(shares[0])} of the rows",
            )
        )
    return found


def chance(share: float, rows: int, other_rows: int) -> float:
    """Returns how far apart two samples' shares are, at most, 99 times in 100.

    Both are nearly normal around the share of all, with the variance share (1 - share) / rows.
    """
    variance = share * (1 - share) * (1 / rows + 1 / other_rows)
    return round(_NORMAL_99 * math.sqrt(variance), 6)
