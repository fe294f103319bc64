"""How far a variant's answers are from the SavedModel's, and whether that is within tolerance."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import BaseModel, ConfigDict

from serving.lite.config import Tolerance

Arrays = Mapping[str, np.ndarray]


class Comparison(BaseModel):
    """Figures by output; an output of integers has an agreement, one of floats the other two.

    Attributes:
        agreement: share of the rows in which every integer is the same.
        difference: largest |a - b| / max(1, |b|).
        error: root mean square of a - b, relative to that of b about its mean over the rows.
            Where b is the same in every row, relative to b.
    """

    model_config = ConfigDict(frozen=True)

    agreement: dict[str, float]
    difference: dict[str, float]
    error: dict[str, float]


def compare(found: Arrays, expected: Arrays) -> Comparison:
    """Compares answers [rows, ...] to the same rows, by output.

    Raises:
        ValueError: if the outputs differ in names or shapes.
    """
    if set(found) != set(expected):
        raise ValueError(f"outputs: found {sorted(found)}; expected {sorted(expected)}")
    for name, value in expected.items():
        if found[name].shape != value.shape:
            raise ValueError(
                f"output {name}: found shape {found[name].shape}; expected {value.shape}"
            )
    floats = {name for name, value in expected.items() if value.dtype.kind == "f"}
    pairs = {name: (found[name], value) for name, value in sorted(expected.items())}
    return Comparison(
        agreement={name: _agreement(*pair) for name, pair in pairs.items() if name not in floats},
        difference={name: _difference(*pair) for name, pair in pairs.items() if name in floats},
        error={name: _error(*pair) for name, pair in pairs.items() if name in floats},
    )


def objections(comparison: Comparison, tolerance: Tolerance) -> list[str]:
    """Returns what is outside the tolerance, each with its figures; empty if all is well."""
    found = []
    for output, value in comparison.agreement.items():
        if tolerance.agreement is not None and not value >= tolerance.agreement:
            found.append(f"agreement of {output} {value:.4f} < {tolerance.agreement:g}")
    for kind in ("difference", "error"):
        bound = getattr(tolerance, kind)
        for output, value in getattr(comparison, kind).items():
            if bound is not None and not value <= bound:
                found.append(f"{kind} of {output} {value:.3g} > {bound:g}")
    return found


def _agreement(found: np.ndarray, expected: np.ndarray) -> float:
    rows = (found == expected).reshape(len(expected), -1)
    return float(rows.all(axis=1).mean())


def _difference(found: np.ndarray, expected: np.ndarray) -> float:
    a, b = found.astype(np.float64), expected.astype(np.float64)
    # NaN and infinity on either side are differences that no tolerance allows.
    with np.errstate(invalid="ignore"):
        relative = np.abs(a - b) / np.maximum(1.0, np.abs(b))
    return float(np.nan_to_num(relative, nan=np.inf, posinf=np.inf).max(initial=0.0))


def _error(found: np.ndarray, expected: np.ndarray) -> float:
    a, b = found.astype(np.float64), expected.astype(np.float64)
    if not np.isfinite(a).all() or not np.isfinite(b).all():
        return float("inf")
    scale = _root_mean_square(b - b.mean(axis=0)) or _root_mean_square(b) or 1.0
    return _root_mean_square(a - b) / scale


def _root_mean_square(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values)))) if values.size else 0.0
