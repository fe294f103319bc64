"""What TFMA is asked to hold a model to; and its verdict agrees with the words for it."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import pytest

from components.evaluator.config import EvaluateConfig

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
    value, before, evaluation, digits
) -> None:
    results = importlib.import_module("components.evaluator.results")
    verdict = importlib.import_module("components.evaluator.verdict")
    config = evaluate({**ACCURACY, "at_least": 0.95, "max_regression": 0.01})

    def measured(accuracy: float) -> Any:
        return results.Measurement({"class/accuracy": accuracy, "attribute/r2": 0.0}, {})

    baseline = None if before is None else measured(before)
    words = all(check.passed for check in verdict.checks(config, measured(value), baseline))
    assert words == tfma_blesses(evaluation, evaluation.eval_config(config, digits), value, before)
