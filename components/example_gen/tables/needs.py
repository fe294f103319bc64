"""Which columns no row can do without: those of the label, and the one that splits go by."""

from __future__ import annotations

from collections.abc import Collection

from components.example_gen.config import ColumnsConfig
from components.example_gen.source import DataError
from components.example_gen.tables.expression import Expression


def label_expression(config: ColumnsConfig) -> Expression | None:
    """Returns the expression that makes the label; None where the label is a column.

    Raises:
        DataError: if it is none.
    """
    try:
        return Expression(config.label_expression) if config.label_expression else None
    except ValueError as error:
        raise DataError(f"data.label_expression: {error}") from None


def needed_columns(config: ColumnsConfig) -> list[str]:
    """Returns the columns that no row can do without.

    Raises:
        DataError: if the label's expression is none.
    """
    expression = label_expression(config)
    label = expression.columns if expression else [config.label]
    column = config.splits.column
    return [*label, column] if column else list(label)


def check_columns(config: ColumnsConfig, own: Collection[str], where: str) -> None:
    """Checks the columns that data bring themselves.

    Args:
        where: the data, for the message.

    Raises:
        DataError: if one is missing that is needed, or one has the name of a label to be made.
    """
    if config.label_expression and config.label in own:
        found = f"a column {config.label!r}, which data.label_expression makes too"
        raise DataError.at(where, found, "data.label: a name that is not taken")
    for name in needed_columns(config):
        if name not in own:
            raise DataError.at(where, f"no column {name!r}", f"the columns: {', '.join(own)}")
