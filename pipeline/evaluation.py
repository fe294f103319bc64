"""What the Evaluator is asked to measure, and to hold a model to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import tensorflow_model_analysis as tfma
from google.protobuf import json_format

from components.evaluator.config import EvaluateConfig, MetricConfig
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
