"""A batch of rows as the arrays that a signature takes; a row that does not fit is named."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.predict.rows import Cell, Row
from serving.array_values import STRING, as_array
from serving.client.metadata import Signature, TensorSpec
from serving.missing_values import complete


def to_arrays(batch: Sequence[Row], signature: Signature) -> dict[str, np.ndarray]:
    """Returns an array for each input, the batch first.

    Features that are no inputs are left out. Of a nullable input a row may have None, an empty
    cell, or nothing.

    Raises:
        ConfigError: if a row lacks an input that is not nullable, or all inputs, or one is of
            another type or shape.
    """
    for row in batch:
        missing = [name for name in signature.inputs if name not in row.features]
        needed = [name for name in missing if not signature.inputs[name].nullable]
        if needed or (missing and len(missing) == len(signature.inputs)):
            allowed = f"rows with {', '.join(signature.inputs)}"
            raise row.refused("fields", f"no {', '.join(needed or missing)}", allowed)
    return {name: _column(batch, name, spec) for name, spec in signature.inputs.items()}


def _column(batch: Sequence[Row], name: str, spec: TensorSpec) -> np.ndarray:
    values = [_value(row, name, spec) for row in batch]
    try:
        array = _fitting(values, spec)
    except (ValueError, TypeError, OverflowError) as error:
        _raise_for_one(batch, name, spec, values)
        raise batch[0].refused(name, str(error), _allowed(spec)) from error
    return array


def _raise_for_one(
    batch: Sequence[Row], name: str, spec: TensorSpec, values: Sequence[Any]
) -> None:
    """Raises for the first row that does not fit by itself, or not beside the first."""
    first: tuple[int, ...] | None = None
    for row, value in zip(batch, values, strict=True):
        try:
            shape = _fitting([value], spec).shape[1:]
        except (ValueError, TypeError, OverflowError) as error:
            found = str(error) if isinstance(error, _WrongShape) else _short(value)
            raise row.refused(name, found, _allowed(spec)) from error
        first = first or shape
        if shape != first and not spec.nullable:
            allowed = f"{list(first)}, as the rows before it in the batch; or --batch 1"
            raise row.refused(name, f"shape {list(shape)}", allowed)


class _WrongShape(ValueError):
    """An array of the right type, but not of the input's shape."""


def _fitting(values: Sequence[Any], spec: TensorSpec) -> np.ndarray:
    """Returns the rows' values as one array.

    Raises:
        ValueError, TypeError, OverflowError: if they do not make one of the input's type and shape.
    """
    if spec.dtype is None:
        raise TypeError(f"an input of {spec}")
    if spec.nullable and spec.shape is not None:
        values = complete(values, spec.dtype, len(spec.shape))
    array = as_array(values, spec.dtype)
    if spec.shape is not None:
        wanted = spec.shape[1:]
        found = array.shape[1:]
        if len(found) != len(wanted) or any(
            size not in (None, length) for size, length in zip(wanted, found, strict=True)
        ):
            raise _WrongShape(f"shape {list(found)}")
    return array


def _value(row: Row, name: str, spec: TensorSpec) -> Any:
    """Returns a row's value; a cell's text as the input takes it: as it is, or as JSON."""
    value = row.features.get(name) if spec.nullable else row.features[name]
    if not isinstance(value, Cell):
        return value
    if spec.nullable and not value:
        return None
    is_text = spec.dtype == STRING
    is_single = spec.shape is not None and len(spec.shape) == 1
    if is_text and is_single and not value.startswith('{"b64"'):
        return str(value)
    try:
        found = _with_bytes(json.loads(value))
    except (ValueError, TypeError):
        return str(value)
    is_list_or_bytes = isinstance(found, (list, bytes))
    return str(value) if is_text and spec.nullable and not is_list_or_bytes else found


def _with_bytes(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_bytes(item) for item in value]
    if isinstance(value, dict) and list(value) == ["b64"]:
        return base64.b64decode(value["b64"], validate=True)
    return value


def _allowed(spec: TensorSpec) -> str:
    """Returns what a row may have, the batch dimension aside."""
    shape = None if spec.shape is None else spec.shape[1:]
    return str(TensorSpec(spec.dtype, shape, spec.nullable))


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
