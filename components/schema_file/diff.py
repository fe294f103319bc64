"""What new data would change in a reviewed schema."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components.schema_file.features import bounds, domain_values, range_of, type_name, valency
from components.statistics import feature_statistics


@dataclass(frozen=True)
class Change:
    """One difference.

    Attributes:
        what: added, removed, type, presence, valency, domain or range.
        frozen, data: what the file says and what the data are; "" where one has nothing.
    """

    feature: str
    what: str
    frozen: str
    data: str


def changes(
    frozen: schema_pb2.Schema,
    inferred: schema_pb2.Schema,
    statistics: list[statistics_pb2.DatasetFeatureStatisticsList],
) -> list[Change]:
    """Returns the differences, in the order of the file's features and then of the new ones.

    Args:
        frozen: the reviewed schema.
        inferred: from the data.
        statistics: of each split, for ranges: no schema is inferred with one.
    """
    new = {feature.name: feature for feature in inferred.feature}
    known = {feature.name for feature in frozen.feature}
    found: list[Change] = []
    for feature in frozen.feature:
        if feature.name in new:
            found += _changes(frozen, feature, inferred, new[feature.name], statistics)
        else:
            found.append(Change(feature.name, "removed", type_name(feature.type), ""))
    found += [
        Change(name, "added", "", type_name(feature.type))
        for name, feature in new.items()
        if name not in known
    ]
    return found


def _changes(
    frozen: schema_pb2.Schema,
    old: schema_pb2.Feature,
    inferred: schema_pb2.Schema,
    new: schema_pb2.Feature,
    statistics: list[statistics_pb2.DatasetFeatureStatisticsList],
) -> Iterator[Change]:
    if old.type != new.type:
        yield Change(old.name, "type", type_name(old.type), type_name(new.type))
        return
    for what, describe in (("presence", _presence), ("valency", valency)):
        if describe(old) != describe(new):
            yield Change(old.name, what, describe(old), describe(new))
    values, new_values = domain_values(frozen, old), domain_values(inferred, new)
    if values and not new_values:
        yield Change(old.name, "domain", f"{len(values)} values", "any text")
    elif new_values and not values:
        yield Change(old.name, "domain", "any text", f"{len(new_values)} values")
    else:
        yield from _values(old.name, values, new_values)
    yield from _range(frozen, old, statistics)


def _values(name: str, values: list[str], new_values: list[str]) -> Iterator[Change]:
    for what, some, others in (("gone", values, new_values), ("new", new_values, values)):
        only = ", ".join(repr(value) for value in some if value not in set(others))
        if only:
            frozen, data = (only, "") if what == "gone" else ("", only)
            yield Change(name, f"domain: {what}", frozen, data)


def _range(
    schema: schema_pb2.Schema,
    feature: schema_pb2.Feature,
    statistics: list[statistics_pb2.DatasetFeatureStatisticsList],
) -> Iterator[Change]:
    """Yields the range of the data where it is not within the file's."""
    low, high = bounds(schema, feature)
    found = [feature_statistics(split, feature.name) for split in statistics]
    numbers = [one.num_stats for one in found if one is not None and one.HasField("num_stats")]
    if not numbers:
        return
    least, most = min(one.min for one in numbers), max(one.max for one in numbers)
    if (low is not None and least < low) or (high is not None and most > high):
        yield Change(feature.name, "range", range_of(schema, feature), f"{least:g} to {most:g}")


def _presence(feature: schema_pb2.Feature) -> str:
    fraction = feature.presence.min_fraction
    return f"in {100 * fraction:g}% of the rows or more" if fraction else "optional"
