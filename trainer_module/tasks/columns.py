"""Types of raw columns, as a task may ask for them before there is a graph to trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import tensorflow as tf

ColumnType = Literal["int", "float", "text"]
"""What a tf.Example holds of a column; `text` is bytes of any kind."""

ColumnTypes = Mapping[str, ColumnType | None]
"""By column; None where it is not known yet."""


def types_of(inputs: Mapping[str, tf.Tensor | tf.SparseTensor]) -> dict[str, ColumnType]:
    """Returns the types of raw columns from their tensors."""
    return {name: _type_of(tensor.dtype) for name, tensor in inputs.items()}


def _type_of(dtype: tf.DType) -> ColumnType:
    if dtype.is_integer:
        return "int"
    return "float" if dtype.is_floating else "text"
