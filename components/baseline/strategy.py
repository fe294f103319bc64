"""Resolves the last blessed model that is not the candidate itself."""

from __future__ import annotations

from typing import Any

from tfx.components.evaluator import constants
from tfx.dsl.components.common import resolver

CANDIDATE = "candidate"
MODEL = "model"
MODEL_BLESSING = "model_blessing"


class BaselineStrategy(resolver.ResolverStrategy):
    """The latest blessed model other than the candidate.

    TFX's own strategy takes the latest blessed model, whatever it is. When nothing has changed
    the candidate is that very model: it would be compared with itself, and each run would see
    another baseline than the one before and evaluate again. Without the candidate, a run that
    repeats another resolves to the same baseline, and the cache holds.
    """

    def resolve_artifacts(
        self, store: Any, input_dict: dict[str, list[Any]]
    ) -> dict[str, list[Any]] | None:
        """Resolves `model` and `model_blessing` from all there are, given the one `candidate`."""
        candidates = {artifact.id for artifact in input_dict[CANDIDATE]}
        blessings = {
            blessing.get_int_custom_property(
                constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY
            ): blessing
            for blessing in sorted(input_dict[MODEL_BLESSING], key=lambda artifact: artifact.id)
            if blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY)
            == constants.BLESSED_VALUE
        }
        blessed = [
            model
            for model in input_dict[MODEL]
            if model.id in blessings and model.id not in candidates
        ]
        latest = max(blessed, key=lambda model: model.id, default=None)
        return {
            CANDIDATE: input_dict[CANDIDATE],
            MODEL: [latest] if latest else [],
            MODEL_BLESSING: [blessings[latest.id]] if latest else [],
        }
