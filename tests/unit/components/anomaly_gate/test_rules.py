"""The rules cover every kind of anomaly that there is, each once."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from tensorflow_metadata.proto.v0 import anomalies_pb2

from components.anomaly_gate.config import ValidateConfig
from components.anomaly_gate.rules import KINDS, RULE_OF


def test_kinds_are_all_those_of_tensorflow_metadata_each_in_one_rule():
    known = {name.lower() for name in anomalies_pb2.AnomalyInfo.Type.keys()}  # noqa: SIM118
    assert set(RULE_OF) == known
    assert sum(map(len, KINDS.values())) == len(RULE_OF)


@pytest.mark.parametrize("section", ["policy", "features"])
def test_policy_when_it_names_no_rule_then_is_refused_with_the_nearest_one(section):
    policy = {"colum_missing": "stop"}
    values = {section: policy if section == "policy" else {"hour": policy}}
    with pytest.raises(ValidationError, match="did you mean column_missing"):
        ValidateConfig.model_validate(values)


def test_policy_when_it_has_no_such_level_then_is_refused():
    with pytest.raises(ValidationError, match="'stop', 'warn' or 'pass'"):
        ValidateConfig.model_validate({"policy": {"drift": "ignore"}})


@pytest.mark.parametrize("threshold", [0, 1.5, -0.1])
def test_threshold_when_no_distance_can_be_above_it_or_all_are_then_is_refused(threshold):
    with pytest.raises(ValidationError):
        ValidateConfig.model_validate({"drift": {"l_infinity": float(threshold)}})
