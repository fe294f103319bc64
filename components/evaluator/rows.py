"""What the metrics of our own share: how TFMA's elements become rows, and metrics computations."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types, metric_util


class RowCombiner(beam.CombineFn, abc.ABC):
    """Accumulates rows into one metric.

    Attributes:
        key: that the metric goes by.
    """

    def __init__(
        self,
        key: metric_types.MetricKey,
        eval_config: Any,
        aggregation_type: metric_types.AggregationType | None,
        class_weights: dict[int, float] | None,
        example_weighted: bool,
    ) -> None:
        self.key = key
        self._inputs = {
            "eval_config": eval_config,
            "model_name": key.model_name,
            "output_name": key.output_name,
            "aggregation_type": aggregation_type,
            "class_weights": class_weights,
            "example_weighted": example_weighted,
            "flatten": False,
        }

    def rows(
        self, element: metric_types.StandardMetricInputs
    ) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
        """Yields label [columns], prediction [columns], both float64, and weight of each row."""
        for label, prediction, weight in metric_util.to_label_prediction_example_weight(
            element, **self._inputs
        ):
            yield (
                np.asarray(label, np.float64).reshape(-1),
                np.asarray(prediction, np.float64).reshape(-1),
                metric_util.safe_to_scalar(weight),
            )


def computations(combiner: type[RowCombiner]) -> Callable[..., metric_types.MetricComputations]:
    """Returns the function by which TFMA makes the computation of a metric for each of its keys."""

    def make(
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
        made = combiner(key, eval_config, aggregation_type, class_weights, example_weighted)
        return [metric_types.MetricComputation(keys=[key], preprocessors=None, combiner=made)]

    return make
