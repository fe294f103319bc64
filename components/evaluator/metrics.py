"""R² as a TFMA metric."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types, metric_util

R2_NAME = "r2"


class R2(metric_types.Metric):
    """Coefficient of determination, averaged over the columns of a vector label.

    1 - SS_res / SS_tot a column, as scikit-learn's `r2_score` with `uniform_average`. A column
    that does not vary has no R²: it counts 1 if predicted exactly and 0 otherwise.

    Args:
        code: hash of this module's source; makes it a part of TFMA's configuration, by which the
            Evaluator is cached.
    """

    def __init__(self, name: str = R2_NAME, code: str = "") -> None:
        super().__init__(metric_util.merge_per_key_computations(_computations), name=name)


metric_types.register_metric(R2)


def _computations(
    name: str,
    eval_config: Any = None,
    model_name: str = "",
    output_name: str = "",
    sub_key: metric_types.SubKey | None = None,
    aggregation_type: metric_types.AggregationType | None = None,
    class_weights: dict[int, float] | None = None,
    example_weighted: bool = False,
) -> metric_types.MetricComputations:
    key = metric_types.MetricKey(
        name=name,
        model_name=model_name,
        output_name=output_name,
        sub_key=sub_key,
        example_weighted=example_weighted,
    )
    combiner = _R2Combiner(key, eval_config, aggregation_type, class_weights, example_weighted)
    return [metric_types.MetricComputation(keys=[key], preprocessors=None, combiner=combiner)]


class _R2Combiner(beam.CombineFn):
    """Accumulates [weight, weighted mean of y, squares of y about it, squared residuals].

    The mean and the squares about it are updated and merged as in Chan, Golub and LeVeque (1983):
    sums of squares would cancel where the mean is large.
    """

    def __init__(
        self,
        key: metric_types.MetricKey,
        eval_config: Any,
        aggregation_type: metric_types.AggregationType | None,
        class_weights: dict[int, float] | None,
        example_weighted: bool,
    ) -> None:
        self._key = key
        self._inputs = {
            "eval_config": eval_config,
            "model_name": key.model_name,
            "output_name": key.output_name,
            "aggregation_type": aggregation_type,
            "class_weights": class_weights,
            "example_weighted": example_weighted,
            "flatten": False,
        }

    def create_accumulator(self) -> np.ndarray:
        return np.zeros((4, 1))

    def add_input(
        self, accumulator: np.ndarray, element: metric_types.StandardMetricInputs
    ) -> np.ndarray:
        for label, prediction, weight in metric_util.to_label_prediction_example_weight(
            element, **self._inputs
        ):
            label = np.asarray(label, np.float64).reshape(-1)
            prediction = np.asarray(prediction, np.float64).reshape(-1)
            if label.shape != prediction.shape:
                raise ValueError(
                    f"r2: found {prediction.size} predictions for {label.size} columns of the label"
                )
            residual = np.square(label - prediction)
            weight = np.full_like(label, metric_util.safe_to_scalar(weight))
            row = np.stack([weight, label, np.zeros_like(label), weight * residual])
            accumulator = _merge(accumulator, row)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[np.ndarray]) -> np.ndarray:
        merged = self.create_accumulator()
        for accumulator in accumulators:
            merged = _merge(merged, accumulator)
        return merged

    def extract_output(self, accumulator: np.ndarray) -> dict[metric_types.MetricKey, float]:
        weight, _, total, residual = accumulator
        if not np.all(weight > 0):
            return {self._key: float("nan")}
        exact = (residual == 0).astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            scores = np.where(total > 0, 1.0 - residual / total, exact)
        return {self._key: float(np.mean(scores))}


def _merge(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    weight = a[0] + b[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(weight > 0, b[0] / weight, 0.0)
    delta = b[1] - a[1]
    return np.stack(
        [weight, a[1] + delta * share, a[2] + b[2] + delta**2 * a[0] * share, a[3] + b[3]]
    )
