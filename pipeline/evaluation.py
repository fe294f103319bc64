"""What the Evaluator measures, and what its verdict means in words and figures."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow_model_analysis as tfma
from google.protobuf import json_format

from pipeline.config import EvaluateConfig, MetricConfig
from pipeline.source_hash import source_hash
from trainer_module.export import TRANSFORM_FEATURES
from trainer_module.tasks.base import Task

_CLASSES = {
    "accuracy": {"class_name": "SparseCategoricalAccuracy"},
    "binary_accuracy": {"class_name": "BinaryAccuracy"},
    "auc": {"class_name": "AUC"},
    "r2": {"class_name": "R2", "module": "components.evaluator.metrics"},
    "frechet": {"class_name": "Frechet", "module": "components.evaluator.frechet"},
    "mse": {"class_name": "MeanSquaredError"},
    "mae": {"class_name": "MeanAbsoluteError"},
}

Values = dict[str, float]
"""Metric values by `head/name`."""


@dataclass(frozen=True)
class Measurement:
    """A model's metrics on the test split: overall, and by slice such as `digit:3`."""

    overall: Values
    slices: dict[str, Values]


@dataclass(frozen=True)
class Check:
    """One threshold held against a figure."""

    text: str
    passed: bool


def eval_config(evaluate: EvaluateConfig, task: Task) -> tfma.EvalConfig:
    """Returns TFMA's configuration for the task's served outputs and transformed labels."""
    heads = {head.name: head for head in task.heads}
    used = {metric.head: heads[metric.head] for metric in evaluate.metrics}
    model_spec: dict[str, Any] = {
        "signature_name": "serving_default",
        "preprocessing_function_names": [TRANSFORM_FEATURES],
        "label_keys": {head.served: head.label for head in used.values()},
    }
    metrics_specs = [
        {
            "output_names": [used[metric.head].served],
            "metrics": [_metric_spec(metric, evaluate.slices)],
        }
        for metric in evaluate.metrics
    ]
    config = {
        "model_specs": [model_spec],
        "slicing_specs": [{}, *({"feature_keys": [name]} for name in evaluate.slices)],
        "metrics_specs": metrics_specs,
        "options": {"include_default_metrics": False},
    }
    return json_format.ParseDict(config, tfma.EvalConfig())


def _metric_spec(metric: MetricConfig, slices: Sequence[str]) -> dict[str, Any]:
    spec: dict[str, Any] = dict(_CLASSES[metric.name])
    arguments: dict[str, str] = {"name": metric.name}
    if "module" in spec:
        arguments["code"] = source_hash(spec["module"])
    # TFMA wants the inside of a JSON object.
    spec["config"] = json.dumps(arguments)[1:-1]
    threshold: dict[str, Any] = {}
    bounds = {"lower_bound": metric.at_least, "upper_bound": metric.at_most}
    bounds = {name: value for name, value in bounds.items() if value is not None}
    if bounds:
        threshold["value_threshold"] = bounds
    if metric.max_regression is not None:
        sign = -1.0 if metric.higher_is_better else 1.0
        threshold["change_threshold"] = {
            "direction": "HIGHER_IS_BETTER" if metric.higher_is_better else "LOWER_IS_BETTER",
            "absolute": sign * metric.max_regression,
        }
    # TFMA's plain `threshold` would hold every slice to the bounds of the whole.
    spec["per_slice_thresholds"] = []
    if threshold:
        spec["per_slice_thresholds"].append({"slicing_specs": [{}], "threshold": threshold})
    if metric.slice_at_least is not None:
        spec["per_slice_thresholds"].append(
            {
                "slicing_specs": [{"feature_keys": [name]} for name in slices],
                "threshold": {"value_threshold": {"lower_bound": metric.slice_at_least}},
            }
        )
    return spec


def load_measurements(evaluation_uri: str, task: Task) -> tuple[Measurement, Measurement | None]:
    """Returns what TFMA wrote: the candidate's figures and, if there is one, the baseline's."""
    config = tfma.load_eval_result(evaluation_uri).config
    names = {spec.name for spec in config.model_specs}
    if tfma.BASELINE_KEY not in names:
        return _measurement(tfma.load_eval_result(evaluation_uri), task), None
    candidate, baseline = (
        _measurement(tfma.load_eval_result(evaluation_uri, model_name=name), task)
        for name in (tfma.CANDIDATE_KEY, tfma.BASELINE_KEY)
    )
    return candidate, baseline


def _measurement(result: Any, task: Task) -> Measurement:
    head_names = {head.served: head.name for head in task.heads}
    overall: Values = {}
    slices: dict[str, Values] = {}
    for slice_key, outputs in result.slicing_metrics:
        values = {
            # A NaN is a text in TFMA's JSON.
            f"{head_names[output]}/{name}": float(value["doubleValue"])
            for output, by_sub_key in outputs.items()
            if output in head_names
            for by_name in by_sub_key.values()
            for name, value in by_name.items()
            if name in _CLASSES and "doubleValue" in value
        }
        if slice_key:
            slices[",".join(f"{feature}:{value}" for feature, value in slice_key)] = values
        else:
            overall = values
    return Measurement(overall, dict(sorted(slices.items())))


def checks(
    evaluate: EvaluateConfig, candidate: Measurement, baseline: Measurement | None
) -> list[Check]:
    """Returns every threshold of the configuration with the figure it was held against.

    The verdict is TFMA's; this puts it in words. A test holds the two together.
    """
    found: list[Check] = []
    for metric in evaluate.metrics:
        key = f"{metric.head}/{metric.name}"
        value = candidate.overall[key]
        if metric.at_least is not None:
            found.append(_bound(key, value, ">=", metric.at_least))
        if metric.at_most is not None:
            found.append(_bound(key, value, "<=", metric.at_most))
        if metric.slice_at_least is not None and candidate.slices:
            found.append(_worst_slice(key, metric.slice_at_least, candidate.slices))
        if metric.max_regression is not None and baseline is not None:
            found.append(_change(metric, key, value, baseline.overall[key]))
    return found


def _bound(name: str, value: float, relation: str, bound: float) -> Check:
    passed = value >= bound if relation == ">=" else value <= bound
    verdict = f"{relation} {bound:g}" if passed else f"is not {relation} {bound:g}"
    return Check(f"{name} {value:.4f} {verdict}", passed)


def _worst_slice(key: str, bound: float, slices: dict[str, Values]) -> Check:
    values = {name: values[key] for name, values in slices.items() if key in values}
    worst = min(values, key=lambda name: (not math.isnan(values[name]), values[name]))
    return _bound(f"{key} of the worst slice, {worst},", values[worst], ">=", bound)


def _change(metric: MetricConfig, key: str, value: float, before: float) -> Check:
    assert metric.max_regression is not None
    worse_by = before - value if metric.higher_is_better else value - before
    passed = worse_by <= metric.max_regression
    text = f"{key} {value:.4f} against {before:.4f} of the last blessed model"
    if worse_by > 0:
        limit = "within" if passed else "more than"
        text += f": worse by {worse_by:.4f}, {limit} the {metric.max_regression:g} allowed"
    return Check(text, passed)
