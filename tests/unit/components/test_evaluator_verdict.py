"""The verdict on a model in words: each threshold with the figure it was held against."""

from __future__ import annotations

import math
from typing import Any

import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

from components.evaluator.config import EvaluateConfig  # isort: skip
from components.evaluator.results import Measurement  # isort: skip
from components.evaluator.verdict import checks  # isort: skip

ACCURACY = {"name": "accuracy", "head": "class"}
MSE = {"name": "mse", "head": "attribute"}


def evaluate(*metrics: dict[str, Any], slices: tuple[str, ...] = ("digit",)) -> EvaluateConfig:
    # A configuration has to ask something of some metric.
    asked = {"name": "r2", "head": "attribute", "at_least": -1e9}
    return EvaluateConfig.model_validate({"metrics": [*metrics, asked], "slices": list(slices)})


@pytest.fixture
def verdict():
    """Holds one metric against figures; returns the texts of its checks and whether each passed."""

    def hold(
        metric: dict[str, Any],
        value: float,
        before: float | None = None,
        slices: dict[str, float] | None = None,
    ) -> list[tuple[str, bool]]:
        key = f"{metric['head']}/{metric['name']}"
        rest = {"attribute/r2": 0.0}
        candidate = Measurement(
            {key: value, **rest}, {name: {key: figure} for name, figure in (slices or {}).items()}
        )
        baseline = None if before is None else Measurement({key: before, **rest}, {})
        held = checks(evaluate(metric), candidate, baseline)
        return [(check.text, check.passed) for check in held if check.text.startswith(key)]

    return hold


@pytest.mark.parametrize(
    ("value", "words", "passed"),
    [
        (0.97, "class/accuracy 0.9700 >= 0.96", True),
        (0.96, "class/accuracy 0.9600 >= 0.96", True),
        (0.95, "class/accuracy 0.9500 is not >= 0.96", False),
        (math.nan, "class/accuracy nan is not >= 0.96", False),
    ],
)
def test_checks_when_at_least_is_set_then_the_value_has_to_reach_it(
    value, words, passed, verdict
) -> None:
    assert verdict({**ACCURACY, "at_least": 0.96}, value) == [(words, passed)]


@pytest.mark.parametrize(
    ("value", "words", "passed"),
    [
        (0.1, "attribute/mse 0.1000 <= 0.2", True),
        (0.2, "attribute/mse 0.2000 <= 0.2", True),
        (0.3, "attribute/mse 0.3000 is not <= 0.2", False),
    ],
)
def test_checks_when_at_most_is_set_then_the_value_must_not_exceed_it(
    value, words, passed, verdict
) -> None:
    assert verdict({**MSE, "at_most": 0.2}, value) == [(words, passed)]


def test_checks_when_both_bounds_are_set_then_each_is_held(verdict) -> None:
    found = verdict({**MSE, "at_least": 0.1, "at_most": 0.2}, 0.3)
    assert [passed for _, passed in found] == [True, False]


@pytest.mark.parametrize(("worst", "passed"), [(0.8, True), (0.7, True), (0.6, False)])
def test_checks_when_slices_are_held_then_the_worst_decides(worst, passed, verdict) -> None:
    found = verdict(
        {**ACCURACY, "slice_at_least": 0.7},
        0.99,
        slices={"digit:1": 0.9, "digit:8": worst, "digit:9": 0.95},
    )
    relation = ">=" if passed else "is not >="
    text = f"class/accuracy of the worst slice, digit:8, {worst:.4f} {relation} 0.7"
    assert found == [(text, passed)]


@pytest.mark.parametrize(
    "figures",
    [{"digit:1": 0.9, "digit:8": math.nan}, {"digit:1": math.nan, "digit:8": 0.9}],
)
def test_checks_when_a_slice_has_no_figure_then_fails_as_in_tfma(figures, verdict) -> None:
    found = verdict({**ACCURACY, "slice_at_least": 0.7}, 0.99, slices=figures)
    assert [passed for _, passed in found] == [False]


@pytest.mark.parametrize(
    ("metric", "value", "words", "passed"),
    [
        (ACCURACY, 0.95, "", True),
        (ACCURACY, 0.9, "", True),
        (ACCURACY, 0.89, ": worse by 0.0100, within the 0.02 allowed", True),
        (ACCURACY, 0.87, ": worse by 0.0300, more than the 0.02 allowed", False),
        (MSE, 0.85, "", True),
        (MSE, 0.9, "", True),
        (MSE, 0.91, ": worse by 0.0100, within the 0.02 allowed", True),
        (MSE, 0.93, ": worse by 0.0300, more than the 0.02 allowed", False),
    ],
)
def test_checks_when_there_is_a_blessed_model_then_regression_is_limited(
    metric, value, words, passed, verdict
) -> None:
    name = f"{metric['head']}/{metric['name']}"
    found = verdict({**metric, "max_regression": 0.02}, value, before=0.9)
    assert found == [
        (f"{name} {value:.4f} against 0.9000 of the last blessed model{words}", passed)
    ]


@pytest.mark.parametrize("metric", [ACCURACY, MSE])
def test_checks_when_no_regression_is_allowed_then_equal_models_pass_and_worse_fail(
    metric, verdict
) -> None:
    strict = {**metric, "max_regression": 0.0}
    worse = 0.8 if metric is ACCURACY else 1.0

    assert [passed for _, passed in verdict(strict, 0.9, before=0.9)] == [True]
    assert [passed for _, passed in verdict(strict, worse, before=0.9)] == [False]


def test_checks_when_there_is_no_blessed_model_then_regression_is_not_held(verdict) -> None:
    assert verdict({**ACCURACY, "max_regression": 0.0}, 0.1) == []
