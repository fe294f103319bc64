"""The data sets that scikit-learn bundles, as named columns. Imports no TensorFlow."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from components.example_gen.columns import COLUMNS
from components.example_gen.config import SPLITS, SklearnConfig
from components.example_gen.row_source import RowSource
from components.example_gen.source import Origin, Row


class SklearnSource(RowSource):
    """The rows of a bundled data set; all splits are taken from them by a hash."""

    class_names = None

    def __init__(self, config: SklearnConfig) -> None:
        self._dataset = config.dataset
        self._limit = config.limit

    @property
    def columns(self) -> Sequence[str]:
        return COLUMNS[self._dataset]

    def check(self) -> None:
        """There is nothing to check: the data come with the library."""

    def fingerprint(self) -> str:
        """Returns nothing: the data change with the library, and its version is in the code's."""
        return ""

    def origins(self) -> Sequence[Origin]:
        version = f"scikit-learn {importlib.metadata.version('scikit-learn')}"
        return [Origin("dataset", self._dataset, version=version)]

    def row_counts(self) -> Mapping[Sequence[str], int]:
        target = load_columns(self._dataset, self._limit)[self.columns[-1]]
        return {SPLITS: len(target)}

    def rows(self) -> Iterator[Row]:
        for features in rows(load_columns(self._dataset, self._limit)):
            yield Row(SPLITS, features)


def load_columns(dataset: str, limit: int | None = None) -> dict[str, np.ndarray]:
    """Returns the columns of a data set, the target among them.

    digits: `image` [rows, 64] float32, pixels 0 to 16, and `digit` [rows] int64.
    breast_cancer: 30 measurements [rows] float32, and `diagnosis` [rows] int64, 0 malignant and
    1 benign.

    Args:
        limit: only the first rows; None for all.

    Raises:
        KeyError: if there is no such data set.
    """
    import sklearn.datasets

    *features, target = COLUMNS[dataset]
    loaded: Any = getattr(sklearn.datasets, f"load_{dataset}")()
    data = loaded.data[:limit].astype(np.float32)
    columns = [data] if len(features) == 1 else list(data.T)
    return {
        **dict(zip(features, columns, strict=True)),
        target: loaded.target[:limit].astype(np.int64),
    }


def rows(columns: Mapping[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    """Yields each row as a dict of Python values, lists for columns of vectors."""
    names = list(columns)
    for values in zip(*(columns[name].tolist() for name in names), strict=True):
        yield dict(zip(names, values, strict=True))
