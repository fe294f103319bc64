"""Which transformed features a table becomes: their names, widths and numbers of ids.

Transform writes them and the model reads them, each by this module; all of it follows from the
options and nothing from the data, so that the data of another day fit the same model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from trainer_module.tasks.tabular.options import (
    CategoricalOptions,
    DateOptions,
    NumericOptions,
    TabularOptions,
    TextOptions,
)

NUMERIC = "numeric"
"""[b, n] float32: all numbers of a row in one vector."""

LABEL = "label"
"""[b]: int64, the number of the class, or float32, the number to predict."""

LABEL_SCALE = "label_scale"
"""[b, 2] float32, of a regression: the label's mean and standard deviation in training."""

PADDING, MISSING, FIRST = 0, 1, 2
"""The ids of no value where others have one, of a row without any, and the first of a value."""

FIRST_YEAR = 1900
PART_SIZES = {"year": 200, "month": 12, "day": 31, "weekday": 7, "hour": 24, "minute": 60}
"""How many values each part of a date has; years beyond the first or the last count as these."""

Source = tuple[str, ...]
"""What a feature of ids is made of; see `of_column`, `of_part` and `of_cross`."""


@dataclass(frozen=True)
class IdFeature:
    """A transformed feature of ids, [b, width] int64.

    Attributes:
        name: of the transformed feature.
        width: ids in a row.
        size: ids that there are, 0 to size - 1.
        embedding: length of the vectors; None: by the size.
    """

    name: str
    width: int
    size: int
    embedding: int | None


def id_features(options: TabularOptions) -> dict[Source, IdFeature]:
    """Returns the features of ids by what each is made of, in a fixed order."""
    found: list[tuple[Source, int, int, int | None]] = []
    for name, column in sorted(options.features.items()):
        if isinstance(column, NumericOptions) and column.buckets is not None:
            found.append((of_column(name), 1, column.buckets, column.embedding))
        elif isinstance(column, CategoricalOptions):
            size = column.hash_buckets or column.oov_buckets + column.top_k
            found.append((of_column(name), column.max_values, size, column.embedding))
        elif isinstance(column, TextOptions):
            size = column.oov_buckets + column.top_k
            found.append((of_column(name), column.max_tokens, size, column.embedding))
        elif isinstance(column, DateOptions):
            found += [
                (of_part(name, part), 1, PART_SIZES[part], column.embedding)
                for part in column.parts
            ]
    found += [(of_cross(c.of), 1, c.buckets, c.embedding) for c in options.crosses]
    names = _transformed_names([source for source, *_ in found])
    return {
        source: IdFeature(names[source], width, FIRST + size, embedding)
        for source, width, size, embedding in found
    }


def of_column(name: str) -> Source:
    return ("column", name)


def of_part(column: str, part: str) -> Source:
    return ("part", column, part)


def of_cross(columns: Iterable[str]) -> Source:
    return ("cross", *columns)


def _transformed_names(sources: Iterable[Source]) -> dict[Source, str]:
    """Returns names of letters, digits and underscores, each a different one.

    Raw columns are called anything; signatures, files and graphs take less.
    """
    taken = {NUMERIC, LABEL, LABEL_SCALE}
    names: dict[Source, str] = {}
    for source in sorted(sources):
        words = re.sub(r"\W+", "_", "_".join(source[1:]), flags=re.ASCII).strip("_") or "column"
        name, number = words, 1
        while name in taken:
            number += 1
            name = f"{words}_{number}"
        taken.add(name)
        names[source] = name
    return names
