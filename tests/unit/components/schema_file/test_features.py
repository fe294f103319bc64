"""What a schema says of a feature."""

from __future__ import annotations

import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.schema_file.features import (
    bounds,
    domain_values,
    feature_named,
    in_environment,
    range_of,
    valency,
    with_environments,
)


def schema_of(text):
    return text_format.Parse(text, schema_pb2.Schema())


@pytest.mark.parametrize(
    ("environments", "feature", "expected"),
    [
        ("", "", {"TRAINING", "SERVING"}),
        ("TRAINING SERVING", "", {"TRAINING", "SERVING"}),
        ("TRAINING SERVING", 'not_in_environment: "SERVING"', {"TRAINING"}),
        ("TRAINING", 'in_environment: "SERVING"', {"TRAINING", "SERVING"}),
        ("TRAINING", "", {"TRAINING"}),
    ],
)
def test_feature_is_in_the_environments_that_the_schema_gives_it(environments, feature, expected):
    defaults = "".join(f'default_environment: "{name}" ' for name in environments.split())
    schema = schema_of(f'{defaults} feature {{ name: "x" {feature} }}')
    found = {
        name for name in ("TRAINING", "SERVING") if in_environment(schema, schema.feature[0], name)
    }
    assert found == expected


def test_environments_when_there_are_none_then_the_label_is_not_in_serving():
    schema = schema_of('feature { name: "x" } feature { name: "y" }')
    found = with_environments(schema, "y")
    assert list(found.default_environment) == ["TRAINING", "SERVING"]
    assert [list(one.not_in_environment) for one in found.feature] == [[], ["SERVING"]]
    assert not schema.default_environment


def test_environments_when_a_reviewer_has_set_them_then_are_left_alone():
    schema = schema_of('default_environment: "TRAINING" feature { name: "y" }')
    assert with_environments(schema, "y") == schema


def test_feature_when_nested_is_found_by_its_path():
    schema = schema_of(
        'feature { name: "a" type: STRUCT struct_domain { feature { name: "b" type: INT } } }'
        'feature { name: "dotted.name" type: FLOAT }'
    )
    assert feature_named(schema, "a.b").type == schema_pb2.INT
    assert feature_named(schema, "dotted.name").type == schema_pb2.FLOAT
    assert feature_named(schema, "a.c") is None
    assert feature_named(schema, "b") is None


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('type: BYTES domain: "d"', ["u", "v"]),
        ('type: BYTES string_domain { value: "w" }', ["w"]),
        ('type: BYTES bool_domain { true_value: "yes" false_value: "no" }', ["yes", "no"]),
        ("type: INT bool_domain { }", []),
        ("type: BYTES", []),
    ],
)
def test_domain_is_the_values_that_texts_may_have(text, values):
    schema = schema_of(
        f'feature {{ name: "x" {text} }} string_domain {{ name: "d" value: "u" value: "v" }}'
    )
    assert domain_values(schema, schema.feature[0]) == values


@pytest.mark.parametrize(
    ("text", "expected", "shown"),
    [
        ("type: INT int_domain { min: 1 max: 5 }", (1, 5), "1 to 5"),
        ("type: INT int_domain { min: 0 }", (0, None), "at least 0"),
        ("type: FLOAT float_domain { max: 0.5 }", (None, 0.5), "at most 0.5"),
        ('type: FLOAT domain: "f"', (-1, 1), "-1 to 1"),
        ("type: INT bool_domain { }", (0, 1), "0 to 1"),
        ("type: FLOAT", (None, None), "any number"),
    ],
)
def test_bounds_are_those_of_the_domain(text, expected, shown):
    schema = schema_of(
        f'feature {{ name: "x" {text} }} float_domain {{ name: "f" min: -1 max: 1 }}'
    )
    assert bounds(schema, schema.feature[0]) == expected
    assert range_of(schema, schema.feature[0]) == shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("shape { dim { size: 1 } }", "1"),
        ("shape { dim { size: 8 } dim { size: 4 } }", "8x4"),
        ("shape { }", "1"),
        ("value_count { min: 1 max: 1 }", "1"),
        ("value_count { min: 1 max: 3 }", "1 to 3"),
        ("value_count { min: 1 }", "1 or more"),
        ("", "any number"),
    ],
)
def test_valency_is_how_many_values_a_row_has(text, expected):
    assert valency(schema_of(f'feature {{ name: "x" {text} }}').feature[0]) == expected
