"""Resolves the data that the gate let through before the ones that it looks at."""

from __future__ import annotations

from typing import Any

from tfx.dsl.components.common import resolver
from tfx.types import artifact

from components.artifact_types import GATE_VERDICT

CANDIDATE, STATISTICS, SCHEMA, VERDICT = "candidate", "statistics", "schema", "verdict"

STATISTICS_ID, SCHEMA_ID, SCOPE = "statistics_id", "schema_id", "scope"
"""Properties of a verdict: which artifacts it let through, and among which data it counts."""


class GateVerdict(artifact.Artifact):
    """A folder with `verdict.json`. Data that were stopped leave none."""

    TYPE_NAME = GATE_VERDICT


class AcceptedDataStrategy(resolver.ResolverStrategy):
    """The data that went through the gate and come before the candidate.

    Of data in spans these are those of the span before, so that a span that is filled in late is
    held to the one that it follows. Where there is none, they are those of the same span, then of
    the span after: a reference all the same. Data without spans go by when their statistics were
    first computed.

    What was computed later does not count: each set of data keeps the reference that it was held
    to at first, so that a run that repeats another finds the same one, and the cache holds.
    Statistics of a stopped run have no verdict, and so never become what others are held to.

    Args:
        scope: only verdicts of the same scope count.
    """

    def __init__(self, scope: str) -> None:
        self._scope = scope

    def resolve_artifacts(
        self, store: Any, input_dict: dict[str, list[Any]]
    ) -> dict[str, list[Any]] | None:
        """Resolves `statistics`, `schema` and `verdict` from all there are, given `candidate`."""
        (candidate,) = input_dict[CANDIDATE]
        statistics = {found.id: found for found in input_dict[STATISTICS]}
        schemas = {found.id: found for found in input_dict[SCHEMA]}
        earlier = [
            verdict
            for verdict in input_dict[VERDICT]
            if verdict.get_string_custom_property(SCOPE) == self._scope
            and verdict.get_int_custom_property(STATISTICS_ID) in statistics
            and verdict.get_int_custom_property(STATISTICS_ID) < candidate.id
        ]

        def order(verdict: Any) -> tuple[bool, int, int, int]:
            number = verdict.get_int_custom_property(STATISTICS_ID)
            return *nearness(statistics[number].span, candidate.span), number, verdict.id

        latest = max(earlier, key=order, default=None)
        if latest is None:
            return {CANDIDATE: [candidate], STATISTICS: [], SCHEMA: [], VERDICT: []}
        schema = schemas.get(latest.get_int_custom_property(SCHEMA_ID))
        return {
            CANDIDATE: [candidate],
            STATISTICS: [statistics[latest.get_int_custom_property(STATISTICS_ID)]],
            SCHEMA: [schema] if schema else [],
            VERDICT: [latest],
        }


def nearness(span: int, candidate: int) -> tuple[bool, int]:
    """Returns by what the span that data of the span `candidate` are held to is the greatest."""
    # TFX's span of data without any is 0.
    distance = span - candidate if candidate else 0
    return distance < 0, -abs(distance)
