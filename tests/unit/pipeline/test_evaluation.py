"""What TFMA is asked to hold a model to, and the verdict in words."""

from __future__ import annotations

import importlib
import math
from types import ModuleType
from typing import Any

import pytest

from pipeline.config import EvaluateConfig

ACCURACY = {"name": "accuracy", "head": "class"}
MSE = {"name": "mse", "head": "attribute"}


@pytest.fixture(scope="module")
def evaluation() -> ModuleType:
    """The module under test; imports TensorFlow Model Analysis once."""
    importlib.import_module("trainer_module")
    return importlib.import_module("pipeline.evaluation")


@pytest.fixture(scope="module")
def digits(evaluation) -> Any:
    return importlib.import_module("trainer_module.tasks.digits").Digits()


def evaluate(*metrics: dict[str, Any], slices: tuple[str, ...] = ("digit",)) -> EvaluateConfig:
    # A configuration has to ask something of some metric.
    asked = {"name": "r2", "head": "attribute", "at_least": -1e9}
    return EvaluateConfig.model_validate({"metrics": [*metrics, asked], "slices": list(slices)})


@pytest.fixture
def verdict(evaluation):
    """Holds one metric against figures; returns the texts of its checks and whether each passed."""

    def hold(
        metric: dict[str, Any],
        value: float,
        before: float | None = None,
        slices: dict[str, float] | None = None,
    ) -> list[tuple[str, bool]]:
        key = f"{metric['head']}/{metric['name']}"
        rest = {"attribute/r2": 0.0}
        candidate = evaluation.Measurement(
            {key: value, **rest}, {name: {key: figure} for name, figure in (slices or {}).items()}
        )
        baseline = None if before is None else evaluation.Measurement({key: before, **rest}, {})
        checks = evaluation.checks(evaluate(metric), candidate, baseline)
        return [(check.text, check.passed) for check in checks if check.text.startswith(key)]

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


def specs(evaluation, task, config: EvaluateConfig) -> dict[str, Any]:
    """Returns each metric's spec of TFMA's configuration, by its class."""
    found = evaluation.eval_config(config, task)
    return {spec.metrics[0].class_name: spec for spec in found.metrics_specs}


def test_eval_config_when_frechet_is_asked_for_then_less_is_better_and_its_code_is_named(
    evaluation,
) -> None:
    gan = importlib.import_module("trainer_module.tasks.gan").Gan()
    metric = {"name": "frechet", "head": "sample", "at_most": 40.0, "max_regression": 5.0}
    config = EvaluateConfig.model_validate({"metrics": [metric]})
    (spec,) = evaluation.eval_config(config, gan).metrics_specs
    assert list(spec.output_names) == ["embeddings"]
    (found,) = spec.metrics
    assert (found.class_name, found.module) == ("Frechet", "components.evaluator.frechet")
    assert '"code": "' in found.config
    threshold = found.per_slice_thresholds[0].threshold
    assert threshold.value_threshold.upper_bound.value == 40.0
    assert threshold.change_threshold.absolute.value == 5.0
    assert threshold.change_threshold.direction == evaluation.tfma.MetricDirection.LOWER_IS_BETTER


def test_eval_config_when_thresholds_are_set_then_they_hold_the_overall_slice_only(
    evaluation, digits
) -> None:
    config = evaluate(
        {**ACCURACY, "at_least": 0.96, "slice_at_least": 0.7, "max_regression": 0.01},
        {**MSE, "at_most": 0.2, "max_regression": 0.02},
        slices=("digit", "image"),
    )
    found = specs(evaluation, digits, config)
    accuracy = found["SparseCategoricalAccuracy"].metrics[0]
    mse = found["MeanSquaredError"].metrics[0]

    assert not accuracy.HasField("threshold"), "TFMA would hold every slice to it"
    overall, sliced = accuracy.per_slice_thresholds
    assert [list(spec.feature_keys) for spec in overall.slicing_specs] == [[]]
    assert overall.threshold.value_threshold.lower_bound.value == 0.96
    assert not overall.threshold.value_threshold.HasField("upper_bound")
    change = overall.threshold.change_threshold
    assert change.absolute.value == -0.01
    assert change.direction == evaluation.tfma.MetricDirection.HIGHER_IS_BETTER

    assert [list(spec.feature_keys) for spec in sliced.slicing_specs] == [["digit"], ["image"]]
    assert sliced.threshold.value_threshold.lower_bound.value == 0.7
    assert not sliced.threshold.HasField("change_threshold")

    (overall,) = mse.per_slice_thresholds
    assert overall.threshold.value_threshold.upper_bound.value == 0.2
    assert not overall.threshold.value_threshold.HasField("lower_bound")
    assert overall.threshold.change_threshold.absolute.value == 0.02
    assert (
        overall.threshold.change_threshold.direction
        == evaluation.tfma.MetricDirection.LOWER_IS_BETTER
    )


def test_eval_config_when_made_then_names_what_is_served_and_the_slices(evaluation, digits) -> None:
    config = evaluation.eval_config(evaluate(ACCURACY, slices=("digit",)), digits)
    (model,) = config.model_specs

    assert model.signature_name == "serving_default"
    assert dict(model.label_keys) == {"probabilities": "class", "attribute": "attribute"}
    assert list(model.preprocessing_function_names) == ["transform_features"]
    assert [list(spec.feature_keys) for spec in config.slicing_specs] == [[], ["digit"]]
    assert [list(spec.output_names) for spec in config.metrics_specs] == [
        ["probabilities"],
        ["attribute"],
    ]
    assert not config.options.include_default_metrics.value


def test_eval_config_when_a_metric_has_no_threshold_then_only_reports_it(
    evaluation, digits
) -> None:
    spec = specs(evaluation, digits, evaluate(ACCURACY))["SparseCategoricalAccuracy"]
    assert not spec.metrics[0].per_slice_thresholds


def tfma_blesses(evaluation, config: Any, value: float, before: float | None) -> bool:
    """Asks TFMA's own validator about an overall figure of the accuracy."""
    validator = importlib.import_module("tensorflow_model_analysis.evaluators.metrics_validator")
    metric_specs = importlib.import_module("tensorflow_model_analysis.metrics.metric_specs")
    # As TFX's Evaluator does.
    config = evaluation.tfma.utils.update_eval_config_with_defaults(
        config, has_baseline=before is not None, rubber_stamp=True
    )
    keys = metric_specs.metric_thresholds_from_metrics_specs(
        config.metrics_specs, eval_config=config
    )
    figures = {
        key: 0.0 if key.name != "accuracy" else value - before if key.is_diff else value
        for key in keys
    }
    return validator.validate_metrics(((), figures), config).validation_ok


@pytest.mark.parametrize("before", [None, 0.9, 0.95, 0.96, 0.97, 0.98])
@pytest.mark.parametrize("value", [0.9, 0.95, 0.96, 0.97, 0.98])
def test_checks_when_held_against_tfma_s_validator_then_agree(
    value, before, evaluation, digits, verdict
) -> None:
    metric = {**ACCURACY, "at_least": 0.95, "max_regression": 0.01}
    words = all(passed for _, passed in verdict(metric, value, before=before))

    config = evaluation.eval_config(evaluate(metric), digits)
    assert words == tfma_blesses(evaluation, config, value, before)
