"""What is made of a finding: it stops the run, it is told of, or it passes."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from components.anomaly_gate.config import ALL, STOP, WARN, Level, Policy, ValidateConfig
from components.anomaly_gate.findings import ALL_FEATURES, SERVING, TRAIN, Finding
from components.anomaly_gate.rules import (
    COLUMN_NEW,
    MISSING_VALUES,
    NEW_CATEGORY,
    NOT_FINITE,
    OTHER,
    OUT_OF_RANGE,
    UNIQUENESS,
    VALUE_COUNT,
)

_WARNED_OF = (COLUMN_NEW, NOT_FINITE, UNIQUENESS, OTHER)
"""Rules that by themselves ruin no model."""

_LOOSE = {
    TRAIN: (NEW_CATEGORY, OUT_OF_RANGE),
    SERVING: (NEW_CATEGORY, OUT_OF_RANGE, MISSING_VALUES, VALUE_COUNT),
}
"""Rules that chance, or the way that rows were split, breaks in splits and logs of sound data."""


def with_level(
    finding: Finding, config: ValidateConfig, label: str, read: Collection[str] | None = None
) -> Finding:
    """Returns a finding with its level.

    A feature's own policy comes before the policy of all, a kind before its rule, a rule before
    `all`. What names none of them has the default level; a label's stops but for a new column.

    Args:
        read: the columns that the task reads, beside which none stops by itself; None: all.
    """
    return dataclasses.replace(finding, level=_level(finding, config, label, read))


def _level(
    finding: Finding, config: ValidateConfig, label: str, read: Collection[str] | None
) -> Level:
    for policy in (config.features.get(finding.feature, {}), config.policy):
        level = _named(policy, finding)
        if level is not None:
            break
    else:
        level = _default(finding, label)
        if level == STOP and not (read is None or finding.feature in (*read, ALL_FEATURES)):
            return WARN
    if level == STOP and _is_tolerable(finding, config) and finding.feature != label:
        return WARN
    return level


def _named(policy: Policy, finding: Finding) -> Level | None:
    for name in (finding.kind, finding.rule, ALL):
        if name in policy:
            return policy[name]
    return None


def _default(finding: Finding, label: str) -> Level:
    if finding.feature == label and finding.rule != COLUMN_NEW and finding.against != SERVING:
        return STOP
    if finding.fraction is not None and finding.fraction <= finding.by_chance:
        return "pass"
    loose = _LOOSE.get(finding.against, ())
    return WARN if finding.rule in (*_WARNED_OF, *loose) else STOP


def _is_tolerable(finding: Finding, config: ValidateConfig) -> bool:
    tolerated = {
        NEW_CATEGORY: config.new_category_fraction,
        MISSING_VALUES: config.missing_fraction,
    }.get(finding.rule, 0.0)
    return finding.fraction is not None and finding.fraction <= tolerated
