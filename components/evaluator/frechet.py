"""The Frechet distance between real and generated rows as a TFMA metric."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from tensorflow_model_analysis.metrics import metric_types, metric_util

from components.evaluator.rows import RowCombiner, computations
from trainer_module.frechet import frechet_distance

FRECHET_NAME = "frechet"


class Frechet(metric_types.Metric):
    """The Frechet distance of `trainer_module.frechet`, in an embedding.

    A prediction holds the embedding of a real row and then that of a generated one; the label is
    not looked at. Covariances are divided by the number of rows.

    Args:
        code: hash of this module's source; makes it a part of TFMA's configuration, by which the
            Evaluator is cached.
    """

    def __init__(self, name: str = FRECHET_NAME, code: str = "") -> None:
        super().__init__(
            metric_util.merge_per_key_computations(computations(_FrechetCombiner)), name=name
        )


metric_types.register_metric(Frechet)


@dataclass(frozen=True)
class _Moments:
    """Of both embeddings of some rows: weight, means [2, d], products about them [2, d, d]."""

    weight: float
    means: np.ndarray
    products: np.ndarray


class _FrechetCombiner(RowCombiner):
    """Accumulates `_Moments`; None stands for no rows.

    They are merged as in Chan, Golub and LeVeque (1983): plain sums of products would cancel.
    """

    def create_accumulator(self) -> _Moments | None:
        return None

    def add_input(
        self, accumulator: _Moments | None, element: metric_types.StandardMetricInputs
    ) -> _Moments | None:
        for _, prediction, weight in self.rows(element):
            if prediction.size % 2:
                raise ValueError(
                    f"frechet: found {prediction.size} numbers in a prediction; expected two "
                    "embeddings of equal size"
                )
            means = prediction.reshape(2, -1)
            products = np.zeros([2, means.shape[1], means.shape[1]])
            accumulator = _merge(accumulator, _Moments(weight, means, products))
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[_Moments | None]) -> _Moments | None:
        merged = None
        for accumulator in accumulators:
            merged = _merge(merged, accumulator)
        return merged

    def extract_output(self, accumulator: _Moments | None) -> dict[metric_types.MetricKey, float]:
        if accumulator is None or not accumulator.weight > 0:
            return {self.key: float("nan")}
        real, generated = accumulator.means
        of_real, of_generated = accumulator.products / accumulator.weight
        return {self.key: frechet_distance(real, of_real, generated, of_generated)}


def _merge(a: _Moments | None, b: _Moments | None) -> _Moments | None:
    if a is None or b is None:
        return b if a is None else a
    weight = a.weight + b.weight
    share = b.weight / weight if weight > 0 else 0.0
    delta = b.means - a.means
    between = delta[:, :, np.newaxis] * delta[:, np.newaxis, :]
    return _Moments(
        weight,
        a.means + delta * share,
        a.products + b.products + between * (a.weight * share),
    )
