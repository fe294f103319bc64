"""The `preprocessing_fn` of the tabular task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from trainer_module.tasks.columns import types_of
from trainer_module.tasks.tabular.columns import column_problems
from trainer_module.tasks.tabular.features.categorical import category_ids, cross_ids
from trainer_module.tasks.tabular.features.dates import date_ids
from trainer_module.tasks.tabular.features.label import class_number, number_and_scale
from trainer_module.tasks.tabular.features.numeric import Numbers
from trainer_module.tasks.tabular.features.sparse import Columns, first_texts, row_count
from trainer_module.tasks.tabular.layout import (
    LABEL,
    LABEL_SCALE,
    NUMERIC,
    Source,
    id_features,
    of_column,
    of_cross,
    of_part,
)
from trainer_module.tasks.tabular.options import (
    CategoricalOptions,
    DateOptions,
    NumericOptions,
    TabularOptions,
    TextOptions,
)


def preprocessing_fn(
    inputs: Columns, label: str, options: Mapping[str, Any]
) -> dict[str, tf.Tensor]:
    """Returns the features of a row of a table.

    The same rows give the same bits in any order, in any batches and under any engine of Beam.

    Args:
        inputs: every raw column, the label too, [b, any]: int64, float32 or UTF-8 text; nothing
            where a row lacks it. Columns that `options` does not name are not read.
        options: those of `TabularOptions` that `for_transform` keeps.

    Returns:
        numeric: [b, n] float32: the scaled numbers in the order of their columns' names, then, 1
            or 0, which of them are missing; absent where the options name none.
        One feature of ids, [b, width] int64, for each of `layout.id_features`.
        label: [b] int64, -1 without one; or float32, NaN without one.
        label_scale: [b, 2] float32, of a regression: mean and standard deviation in training.

    Raises:
        ValueError: if a column is not there, or not of a type that its options allow.
        InvalidArgumentError: when a row's label is none of the classes, or a row holds several
            numbers in a numeric column.
    """
    table = TabularOptions.model_validate(options)
    problems = column_problems(types_of(inputs), label, options)
    if problems:
        raise ValueError("\n".join(problems))
    layout = id_features(table)
    numeric = table.of_kind(NumericOptions)
    features: dict[str, tf.Tensor] = {}
    ids: dict[Source, tf.Tensor] = {}
    if table.problem == "regression":
        features[LABEL], scale = number_and_scale(label, inputs[label])
        # Not of as many rows as the label has: a request has none.
        rows = row_count({name: inputs[name] for name in table.features})
        features[LABEL_SCALE] = tf.tile(scale[tf.newaxis], [rows, 1])
    else:
        features[LABEL] = class_number(inputs[label], table.class_names)
    if numeric:
        read = Numbers(inputs, numeric)
        if any(column.is_scaled for column in numeric.values()):
            features[NUMERIC] = read.scaled()
        ids |= {of_column(name): found for name, found in read.buckets().items()}
    for name, column in table.of_kind(DateOptions).items():
        parts = date_ids(name, inputs[name], column)
        ids |= {of_part(name, part): found for part, found in parts.items()}
    crossable = {".".join(source[1:]): value for source, value in ids.items()}
    for cross in table.crosses:
        ids[of_cross(cross.of)] = cross_ids(
            [crossable[n] if n in crossable else first_texts(inputs[n]) for n in cross.of], cross
        )
    categories = {**table.of_kind(CategoricalOptions), **table.of_kind(TextOptions)}
    for name, found in category_ids(inputs, categories, layout).items():
        ids[of_column(name)] = found
    for source, feature in layout.items():
        features[feature.name] = tf.reshape(ids[source], [-1, feature.width])
    return features
