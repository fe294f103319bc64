"""R² as a TFMA metric."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from tensorflow_model_analysis.metrics import metric_types, metric_util

from components.evaluator.rows import RowCombiner, computations

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
        super().__init__(
            metric_util.merge_per_key_computations(computations(_R2Combiner)), name=name
        )


metric_types.register_metric(R2)


class _R2Combiner(RowCombiner):
    """Accumulates [weight, weighted mean of y, squares of y about it, squared residuals].

    The mean and the squares about it are updated and merged as in Chan, Golub and LeVeque (1983):
    sums of squares would cancel where the mean is large.
    """

    def create_accumulator(self) -> np.ndarray:
        return np.zeros((4, 1))

    def add_input(
        self, accumulator: np.ndarray, element: metric_types.StandardMetricInputs
    ) -> np.ndarray:
        for label, prediction, weight in self.rows(element):
            if label.shape != prediction.shape:
                raise ValueError(
                    f"r2: found {prediction.size} predictions for {label.size} columns of the label"
                )
            residual = np.square(label - prediction)
            weights = np.full_like(label, weight)
            row = np.stack([weights, label, np.zeros_like(label), weight * residual])
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
            return {self.key: float("nan")}
        exact = (residual == 0).astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            scores = np.where(total > 0, 1.0 - residual / total, exact)
        return {self.key: float(np.mean(scores))}


def _merge(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    weight = a[0] + b[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(weight > 0, b[0] / weight, 0.0)
    delta = b[1] - a[1]
    return np.stack(
        [weight, a[1] + delta * share, a[2] + b[2] + delta**2 * a[0] * share, a[3] + b[3]]
    )
