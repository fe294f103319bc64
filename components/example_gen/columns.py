"""The columns of the bundled data sets, known without loading scikit-learn."""

from __future__ import annotations

_MEASURES = (
    "radius",
    "texture",
    "perimeter",
    "area",
    "smoothness",
    "compactness",
    "concavity",
    "concave_points",
    "symmetry",
    "fractal_dimension",
)

LABELS = {"digits": "digit", "breast_cancer": "diagnosis"}
"""Name that the target of each data set goes by as a column."""

COLUMNS = {
    "digits": ("image", LABELS["digits"]),
    "breast_cancer": (
        *(f"mean_{name}" for name in _MEASURES),
        *(f"{name}_error" for name in _MEASURES),
        *(f"worst_{name}" for name in _MEASURES),
        LABELS["breast_cancer"],
    ),
}
