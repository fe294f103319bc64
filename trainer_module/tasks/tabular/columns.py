"""Whether the columns of a table are those that the options name, and of types that they allow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainer_module.tasks.columns import ColumnTypes
from trainer_module.tasks.tabular.options import NumericOptions, TabularOptions, TextOptions


def columns_read(label: str, options: Mapping[str, Any]) -> set[str]:
    """Returns the columns that are features, and the label; see `Task.columns_read`."""
    return {label, *options["features"]}


def column_problems(columns: ColumnTypes, label: str, options: Mapping[str, Any]) -> list[str]:
    """Returns what does not fit, as `key: found X; allowed: Y`; see `Task.column_problems`.

    Args:
        columns: every raw column, the label too.
        options: those of `TabularOptions` that `for_transform` keeps.
    """
    table = TabularOptions.model_validate(options)
    problems = []
    if label in table.features:
        problems.append(
            f"task.options.features: found {label!r}, the label; allowed: other columns, or the "
            "model would be told the answer"
        )
    for name, column in sorted(table.features.items()):
        key = f"task.options.features.{name}"
        if name not in columns:
            allowed = ", ".join(sorted(set(columns) - {label}))
            problems.append(f"{key}: found no column of this name; allowed: {allowed}")
            continue
        kind = columns[name]
        if isinstance(column, NumericOptions) and kind == "text":
            problems.append(
                f"{key}.kind: found 'numeric' for a column of texts; "
                "allowed: categorical, text or date"
            )
        if isinstance(column, TextOptions) and kind in ("int", "float"):
            problems.append(
                f"{key}.kind: found 'text' for a column of numbers; "
                "allowed: numeric, categorical or date"
            )
    if table.problem == "regression" and columns.get(label) == "text":
        problems.append(
            f"task.options.problem: found 'regression' with {label!r}, a label of texts; "
            "allowed: binary or multiclass"
        )
    return problems
