"""What the label is: two classes, several, or a number; and which columns tell it by themselves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

MOST_CLASSES = 1000
_FEW_INTS = 30
_ROWS_TO_FIT = 20_000

LEAK = 0.995
"""AUC, accuracy or R² of a column alone, from which on it is taken for the label in disguise."""
LEAK_OF_EXPRESSION = 0.95
"""The same for a column that the label is computed of."""


@dataclass(frozen=True)
class LabelProfile:
    """The label, described.

    Attributes:
        name: of the column.
        problem: binary, multiclass or regression.
        classes: in the order of their numbers, with the share of each; none of a regression.
        mean, deviation: of a regression's label.
    """

    name: str
    problem: str
    classes: Mapping[str | int, float]
    mean: float = math.nan
    deviation: float = math.nan


def profile_label(name: str, column: pa.ChunkedArray, problem: str | None) -> LabelProfile:
    """Looks at the label.

    Args:
        problem: what it is taken for; None to judge by its values: whole numbers of which there
            are more than a few, and all others, are quantities.

    Raises:
        ValueError: if it cannot be learned: one value only, or too many classes.
    """
    values = column.to_pandas()
    counts = values.value_counts()
    if len(counts) < 2:
        raise ValueError(f"found {len(counts)} value; allowed: two or more to tell apart")
    is_text = values.dtype == object
    if problem is None:
        few = len(counts) <= (MOST_CLASSES if is_text else _FEW_INTS)
        is_class = is_text or values.dtype.kind == "i" or len(counts) == 2
        problem = "regression"
        if is_text or (is_class and few):
            problem = "binary" if len(counts) == 2 else "multiclass"
    if problem == "regression":
        if is_text:
            raise ValueError("found texts; allowed: numbers, for a regression")
        return LabelProfile(name, problem, {}, float(values.mean()), float(values.std()))
    if len(counts) > MOST_CLASSES:
        raise ValueError(f"found {len(counts)} classes; allowed: {MOST_CLASSES} at most")
    if problem == "binary" and len(counts) != 2:
        raise ValueError(f"found {len(counts)} classes; allowed: two, for a binary problem")
    shares = {_plain(value): count / len(values) for value, count in counts.items()}
    return LabelProfile(name, problem, dict(sorted(shares.items())))


def power_alone(column: pa.ChunkedArray, label: pa.ChunkedArray, problem: str) -> float:
    """Returns how well a small decision tree predicts the label of this column alone.

    Three-fold cross-validation: AUC of two classes, else accuracy above that of always guessing the
    commonest class, as a part of what that leaves to gain; R² of a number. NaN where that cannot be
    told.
    """
    import pandas as pd
    import pyarrow as pa
    from sklearn import config_context
    from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    if pa.types.is_list(column.type):
        return math.nan
    chosen = np.linspace(0, len(label) - 1, min(len(label), _ROWS_TO_FIT)).astype(int)
    x = column.take(pa.array(chosen)).to_pandas()
    x = pd.Series(pd.factorize(x)[0]) if x.dtype == object else x.astype(np.float64)
    y = label.take(pa.array(chosen)).to_pandas()
    scoring = {"binary": "roc_auc", "multiclass": "accuracy", "regression": "r2"}[problem]
    size = {"max_leaf_nodes": 64, "min_samples_leaf": 5, "random_state": 0}
    if problem == "regression":
        tree, folds = DecisionTreeRegressor(**size), KFold(3, shuffle=True, random_state=0)
    else:
        y = pd.Series(pd.factorize(y)[0])
        if y.value_counts().min() < 3:
            return math.nan
        tree = DecisionTreeClassifier(**size)
        folds = StratifiedKFold(3, shuffle=True, random_state=0)
    low = x.min()
    features = x.fillna(low - 1 if np.isfinite(low) else 0.0).to_numpy().reshape(-1, 1)
    # Checking its arguments takes scikit-learn longer than a column of some thousand rows.
    with config_context(skip_parameter_validation=True, assume_finite=True):
        scores = cross_val_score(tree, features, y.to_numpy(), cv=folds, scoring=scoring)
    score = float(np.mean(scores))
    if problem == "multiclass":
        guess = float(y.value_counts(normalize=True).max())
        return (score - guess) / (1 - guess)
    return score


def _plain(value: object) -> str | int:
    if isinstance(value, bytes):
        return value.decode()
    assert isinstance(value, (int, float, np.number)), "labels are texts or numbers"
    return int(value)
