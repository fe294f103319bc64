"""A run's metrics of a variant's answers: what quantization costs in the run's own terms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

Arrays = Mapping[str, np.ndarray]


class Metric(BaseModel):
    """One metric: what it is called in the report, which it is, and what it compares.

    Attributes:
        key: such as `class/accuracy`.
        kind: one of `KINDS`.
        output: of the signature.
        label: the transformed feature that holds the truth.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    kind: str
    output: str
    label: str


def _r2(answers: np.ndarray, labels: np.ndarray) -> float:
    """Coefficient of determination, the mean over the columns; see scikit-learn's `r2_score`."""
    residual = np.square(labels - answers).sum(axis=0)
    total = np.square(labels - labels.mean(axis=0)).sum(axis=0)
    exact = (residual == 0).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.mean(np.where(total > 0, 1.0 - residual / total, exact)))


_FORMULAS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "accuracy": lambda answers, labels: float(np.mean(answers.argmax(axis=1) == labels[:, 0])),
    "binary_accuracy": lambda answers, labels: float(np.mean((answers > 0.5) == (labels > 0.5))),
    "r2": _r2,
    "mse": lambda answers, labels: float(np.mean(np.square(answers - labels))),
    "mae": lambda answers, labels: float(np.mean(np.abs(answers - labels))),
}

KINDS = tuple(_FORMULAS)


def measure(metrics: Sequence[Metric], answers: Arrays, labels: Arrays) -> dict[str, float]:
    """Returns each metric's value by its key.

    Args:
        answers: by output, [rows, ...].
        labels: by transformed feature, the same rows.
    """
    return {
        metric.key: _FORMULAS[metric.kind](
            _columns(answers[metric.output]), _columns(labels[metric.label])
        )
        for metric in metrics
    }


def _columns(values: np.ndarray) -> np.ndarray:
    """Returns values as [rows, columns] in float64, in which 8 bits cannot overflow."""
    return values.reshape(len(values), -1).astype(np.float64)
