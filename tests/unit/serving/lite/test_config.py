"""The `lite` section: defaults, and what it refuses."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from serving.lite.config import TOLERANCES, VARIANTS, LiteConfig


def test_defaults_when_nothing_is_said_then_all_variants_and_float32_is_required():
    config = LiteConfig()
    assert config.variants == list(VARIANTS)
    assert config.required_variants == ["float32"]
    assert [config.tolerance(name) for name in VARIANTS] == [TOLERANCES[name] for name in VARIANTS]
    assert config.tolerance("float32").difference == 1e-5
    assert config.tolerance("int8").agreement == 0.97


def test_required_when_float32_is_not_made_then_is_not_required():
    assert LiteConfig(variants=["int8"]).required_variants == []
    assert LiteConfig(required=[]).required_variants == []


def test_tolerance_when_one_figure_is_given_then_the_others_stay_even_when_written_out():
    given = {"tolerances": {"int8": {"agreement": 0.99}}}
    config = LiteConfig.model_validate_json(LiteConfig.model_validate(given).model_dump_json())
    found = config.tolerance("int8")
    assert (found.agreement, found.error) == (0.99, TOLERANCES["int8"].error)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        pytest.param({"variants": []}, "at least 1", id="none"),
        pytest.param({"variants": ["int9"]}, "'float32', 'dynamic_range'", id="unknown"),
        pytest.param({"variants": ["int8", "int8"]}, "allowed: each one once", id="twice"),
        pytest.param(
            {"variants": ["int8"], "required": ["float16"]},
            r"required: found \['float16'\]; allowed: some of variants, \['int8'\]",
            id="required but not made",
        ),
        pytest.param({"tolerances": {"int8": {"agreement": 1.5}}}, "less than", id="over 1"),
        pytest.param({"tolerances": {"int8": {"error": 0.0}}}, "greater than 0", id="zero error"),
        pytest.param({"tolerances": {"int9": {}}}, "int9|'float32'", id="of an unknown variant"),
        pytest.param({"representative_rows": 0}, "greater than 0", id="no rows"),
    ],
)
def test_config_when_wrong_then_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        LiteConfig.model_validate(values)
