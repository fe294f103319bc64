"""Reads what the Evaluator measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow_model_analysis as tfma

from components.evaluator.config import METRIC_NAMES
from trainer_module.tasks.base import Task

Values = dict[str, float]
"""Metric values by `head/name`."""


@dataclass(frozen=True)
class Measurement:
    """A model's metrics on the test split: overall, and by slice such as `digit:3`."""

    overall: Values
    slices: dict[str, Values]


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
            if name in METRIC_NAMES and "doubleValue" in value
        }
        if slice_key:
            slices[",".join(f"{feature}:{value}" for feature, value in slice_key)] = values
        else:
            overall = values
    return Measurement(overall, dict(sorted(slices.items())))
