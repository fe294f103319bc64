"""Which model a candidate has to beat: the latest blessed one that is not itself."""

import pytest
from tfx.types import standard_artifacts

from components.baseline import BaselineStrategy
from components.baseline.strategy import CANDIDATE, MODEL, MODEL_BLESSING


@pytest.fixture
def resolve(artifact):
    """Resolves among models 1 to 4, given who is blessed; returns the ids of what was found."""

    def run(candidate, verdicts):
        models = {number: artifact(standard_artifacts.Model, number) for number in range(1, 5)}
        blessings = [
            artifact(
                standard_artifacts.ModelBlessing,
                100 + model,
                blessed=int(blessed),
                current_model_id=model,
            )
            for model, blessed in verdicts.items()
        ]
        found = BaselineStrategy().resolve_artifacts(
            None,
            {
                CANDIDATE: [models[candidate]],
                MODEL: list(models.values()),
                MODEL_BLESSING: blessings,
            },
        )
        assert found.pop(CANDIDATE) == [models[candidate]]
        return {key: [artifact.id for artifact in artifacts] for key, artifacts in found.items()}

    return run


def test_baseline_when_several_are_blessed_then_is_the_latest_with_its_own_blessing(resolve):
    assert resolve(4, {1: True, 3: True, 2: True}) == {MODEL: [3], MODEL_BLESSING: [103]}


def test_baseline_when_the_candidate_is_the_latest_blessed_then_is_the_one_before(resolve):
    assert resolve(4, {4: True, 2: True}) == {MODEL: [2], MODEL_BLESSING: [102]}


def test_baseline_when_the_candidate_is_an_older_one_then_is_the_latest_of_the_others(resolve):
    assert resolve(2, {2: True, 3: True}) == {MODEL: [3], MODEL_BLESSING: [103]}


def test_baseline_when_only_the_candidate_is_blessed_then_there_is_none(resolve):
    assert resolve(4, {4: True}) == {MODEL: [], MODEL_BLESSING: []}


def test_baseline_when_a_later_model_was_not_blessed_then_is_ignored(resolve):
    assert resolve(4, {1: True, 2: False, 3: False}) == {MODEL: [1], MODEL_BLESSING: [101]}


@pytest.mark.parametrize("verdicts", [{}, {1: False, 2: False}])
def test_baseline_when_none_is_blessed_then_there_is_none(resolve, verdicts):
    assert resolve(4, verdicts) == {MODEL: [], MODEL_BLESSING: []}


def test_baseline_when_the_model_of_a_blessing_is_gone_then_is_ignored(resolve):
    assert resolve(4, {1: True, 77: True}) == {MODEL: [1], MODEL_BLESSING: [101]}


def test_baseline_when_models_come_in_any_order_then_is_the_same(artifact):
    models = [artifact(standard_artifacts.Model, number) for number in (3, 1, 2)]
    blessings = [
        artifact(standard_artifacts.ModelBlessing, 10 + n, blessed=1, current_model_id=n)
        for n in (2, 3, 1)
    ]
    inputs = {CANDIDATE: [models[1]], MODEL: models, MODEL_BLESSING: blessings}
    found = BaselineStrategy().resolve_artifacts(None, inputs)
    assert found[MODEL] == [models[0]]
    assert found[MODEL_BLESSING] == [blessings[1]]


def test_baseline_when_a_model_was_blessed_twice_then_has_its_latest_blessing(artifact):
    models = [artifact(standard_artifacts.Model, number) for number in (1, 2)]
    late, early = (
        artifact(standard_artifacts.ModelBlessing, number, blessed=1, current_model_id=1)
        for number in (12, 11)
    )
    inputs = {CANDIDATE: [models[1]], MODEL: models, MODEL_BLESSING: [late, early]}
    assert BaselineStrategy().resolve_artifacts(None, inputs)[MODEL_BLESSING] == [late]
