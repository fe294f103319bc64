"""Which data the gate holds others to: the last that it let through before them."""

from __future__ import annotations

import pytest
from tfx.types import standard_artifacts

from components.anomaly_gate.strategy import (
    CANDIDATE,
    SCHEMA,
    STATISTICS,
    VERDICT,
    AcceptedDataStrategy,
    GateVerdict,
)


@pytest.fixture
def resolve(artifact):
    """Resolves for statistics 10 to 50, given whose verdicts there are: {statistics: scope}."""

    def run(candidate, verdicts, scope="all"):
        known = {n: artifact(standard_artifacts.ExampleStatistics, n) for n in range(10, 60, 10)}
        schemas = [artifact(standard_artifacts.Schema, n + 1) for n in known]
        found = []
        for number, own in verdicts.items():
            made = artifact(GateVerdict, number + 5, statistics_id=number, schema_id=number + 1)
            made.set_string_custom_property("scope", own)
            found.append(made)
        resolved = AcceptedDataStrategy(scope).resolve_artifacts(
            None,
            {
                CANDIDATE: [known[candidate]],
                STATISTICS: list(known.values()),
                SCHEMA: schemas,
                VERDICT: found,
            },
        )
        assert resolved.pop(CANDIDATE) == [known[candidate]]
        return {key: [one.id for one in artifacts] for key, artifacts in resolved.items()}

    return run


NOTHING = {STATISTICS: [], SCHEMA: [], VERDICT: []}


def test_reference_when_several_went_through_then_is_the_latest_before_with_its_schema(resolve):
    found = resolve(40, {10: "all", 30: "all", 20: "all"})
    assert found == {STATISTICS: [30], SCHEMA: [31], VERDICT: [35]}


def test_reference_when_the_latest_was_stopped_then_is_the_one_before(resolve):
    assert resolve(40, {10: "all", 20: "all"})[STATISTICS] == [20]


def test_reference_when_the_candidate_went_through_itself_then_is_still_the_one_before(resolve):
    assert resolve(40, {30: "all", 40: "all"})[STATISTICS] == [30]


def test_reference_when_others_came_later_then_is_what_it_was_at_first(resolve):
    assert resolve(20, {10: "all", 20: "all", 30: "all", 40: "all"})[STATISTICS] == [10]


def test_reference_when_none_went_through_before_then_there_is_none(resolve):
    assert resolve(10, {10: "all", 20: "all"}) == NOTHING


def test_reference_when_data_are_of_another_scope_then_they_do_not_count(resolve):
    assert resolve(40, {10: "all", 20: "limit 100"})[STATISTICS] == [10]


def test_reference_when_its_statistics_are_gone_then_is_the_one_before(resolve):
    assert resolve(40, {10: "all", 25: "all"})[STATISTICS] == [10]
