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
    """Resolves for statistics 10 to 50, given whose verdicts there are: {statistics: scope}.

    `spans` are those of the statistics, in their order; 0 without.
    """

    def run(candidate, verdicts, scope="all", spans=()):
        known = {n: artifact(standard_artifacts.ExampleStatistics, n) for n in range(10, 60, 10)}
        for statistics, span in zip(known.values(), spans, strict=False):
            statistics.span = span
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


ALL = dict.fromkeys((10, 20, 30, 40), "all")


@pytest.mark.parametrize(
    ("spans", "reference"),
    [
        ((1, 2, 4, 5, 3), 20),  # filled in late: the one before, and not the latest computed
        ((2, 1, 4, 5, 6), 40),
        ((1, 2, 2, 4, 3), 30),  # of two versions of a span the one computed last
        ((3, 2, 3, 3, 3), 20),  # the span once more
        ((3, 3, 4, 5, 3), 20),  # once more, with none before it
        ((7, 5, 5, 6, 3), 30),  # the first of all spans: the next one, rather than nothing
        ((0, 0, 0, 0, 3), 40),
        ((1, 9, 3, 2, 0), 40),  # without a span: the latest computed
    ],
)
def test_reference_when_data_come_in_spans_then_is_the_span_before(resolve, spans, reference):
    assert resolve(50, ALL, spans=spans)[STATISTICS] == [reference]


def test_reference_when_a_nearer_span_came_later_then_is_what_it_was_at_first(resolve):
    assert resolve(30, ALL, spans=(1, 2, 5, 3, 4))[STATISTICS] == [20]
