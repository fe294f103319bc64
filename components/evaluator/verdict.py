"""What the Evaluator's verdict means in words and figures."""

from __future__ import annotations

import math
from dataclasses import dataclass

from components.evaluator.config import EvaluateConfig, MetricConfig
from components.evaluator.results import Measurement, Values


@dataclass(frozen=True)
class Check:
    """One threshold held against a figure."""

    text: str
    passed: bool


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
