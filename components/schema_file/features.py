"""What a schema says of a feature, in the words of a table."""

from __future__ import annotations

from collections.abc import Sequence

from tensorflow_metadata.proto.v0 import schema_pb2

from trainer_module.tasks.columns import ColumnType

TRAINING, SERVING = "TRAINING", "SERVING"
"""The environments: what is trained on, and what a served model is asked."""


def feature_named(schema: schema_pb2.Schema, name: str) -> schema_pb2.Feature | None:
    """Returns a feature by its name, the steps of its path with dots between; None if none is."""
    features = schema.feature
    first, _, rest = name.partition(".")
    for feature in features:
        if feature.name == name:
            return feature
        if rest and feature.name == first and feature.HasField("struct_domain"):
            inner = schema_pb2.Schema(feature=feature.struct_domain.feature)
            return feature_named(inner, rest)
    return None


def in_environment(
    schema: schema_pb2.Schema, feature: schema_pb2.Feature, environment: str
) -> bool:
    """Says whether a feature is expected in an environment, as schema.proto defines it."""
    if environment in feature.in_environment:
        return True
    if environment not in schema.default_environment:
        return not schema.default_environment
    return environment not in feature.not_in_environment


def with_environments(schema: schema_pb2.Schema, label: str) -> schema_pb2.Schema:
    """Returns a schema with both environments, the label not expected in serving.

    Environments that a schema has are left as they are.
    """
    result = schema_pb2.Schema()
    result.CopyFrom(schema)
    if not result.default_environment:
        result.default_environment.extend((TRAINING, SERVING))
        for feature in result.feature:
            if feature.name == label and not feature.in_environment:
                feature.not_in_environment.append(SERVING)
    return result


def type_name(kind: int) -> str:
    """Returns INT, FLOAT, BYTES or STRUCT."""
    return str(schema_pb2.FeatureType.Name(kind))


def column_type(feature: schema_pb2.Feature) -> ColumnType | None:
    """Returns a feature's type as tasks ask for it; None for one that no tf.Example holds."""
    types: dict[int, ColumnType] = {
        schema_pb2.INT: "int",
        schema_pb2.FLOAT: "float",
        schema_pb2.BYTES: "text",
    }
    return types.get(feature.type)


def domain_values(schema: schema_pb2.Schema, feature: schema_pb2.Feature) -> list[str]:
    """Returns the values that a feature of texts may have; none where any may be."""
    kind = feature.WhichOneof("domain_info")
    if kind == "domain":
        return [
            value
            for domain in schema.string_domain
            if domain.name == feature.domain
            for value in domain.value
        ]
    if kind == "string_domain":
        return list(feature.string_domain.value)
    if kind == "bool_domain" and feature.type == schema_pb2.BYTES:
        return [feature.bool_domain.true_value, feature.bool_domain.false_value]
    return []


def bounds(
    schema: schema_pb2.Schema, feature: schema_pb2.Feature
) -> tuple[float | None, float | None]:
    """Returns the least and the greatest number that a feature may be; None for no bound."""
    kind = feature.WhichOneof("domain_info")
    if kind == "bool_domain" and feature.type != schema_pb2.BYTES:
        return 0.0, 1.0
    domains: Sequence[schema_pb2.IntDomain | schema_pb2.FloatDomain] = ()
    if kind in ("int_domain", "float_domain"):
        domains = [getattr(feature, kind)]
    elif kind == "domain":
        domains = [
            domain
            for domain in (*schema.int_domain, *schema.float_domain)
            if domain.name == feature.domain
        ]
    for domain in domains:
        return (
            float(domain.min) if domain.HasField("min") else None,
            float(domain.max) if domain.HasField("max") else None,
        )
    return None, None


def range_of(schema: schema_pb2.Schema, feature: schema_pb2.Feature) -> str:
    """Returns the range of a feature's numbers, such as `0 to 1`."""
    low, high = bounds(schema, feature)
    if low is None and high is None:
        return "any number"
    if low is None or high is None:
        return f"at most {high:g}" if low is None else f"at least {low:g}"
    return f"{low:g} to {high:g}"


def valency(feature: schema_pb2.Feature) -> str:
    """Returns how many values a row has, such as `1`, `8x8`, `1 or more` or `any number`."""
    kind = feature.WhichOneof("shape_type")
    if kind == "shape":
        return "x".join(str(dim.size) for dim in feature.shape.dim) or "1"
    if kind == "value_count":
        low, high = feature.value_count.min, feature.value_count.max
        if high:
            return str(low) if low == high else f"{low} to {high}"
        return f"{low} or more"
    if kind == "value_counts":
        return f"nested {len(feature.value_counts.value_count)} deep"
    return "any number"
