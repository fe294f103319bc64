"""Inputs as people have them, made the arrays of a signature; answers in the form of the inputs.

pandas is loaded by whoever passes a DataFrame, not here.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import numpy as np
from grpc import StatusCode

from serving.array_values import STRING, as_array
from serving.client.errors import ServingClientError, invalid_argument
from serving.client.metadata import Signature, TensorSpec
from serving.missing_values import complete

if TYPE_CHECKING:
    import pandas as pd

Inputs: TypeAlias = "Mapping[str, Any] | pd.DataFrame"
"""An array, or lists of values, for each input; or a DataFrame with a column for each."""

Answers: TypeAlias = "dict[str, np.ndarray] | pd.DataFrame"


def is_frame(value: Any) -> TypeGuard[pd.DataFrame]:
    """Returns whether a value is a DataFrame; nobody has one who has not loaded pandas."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


def arrays_of(inputs: Inputs, signature: Signature) -> dict[str, np.ndarray]:
    """Returns the inputs as arrays of the signature's types.

    Columns of a DataFrame that are no inputs are left out. Nullable inputs may hold None, or be
    left out altogether.

    Raises:
        ServingClientError: INVALID_ARGUMENT, if inputs are missing, unknown, or of another type.
    """
    given: Mapping[str, Any]
    if is_frame(inputs):
        given = {
            name: _values(inputs[name], is_nullable=spec.nullable)
            for name, spec in signature.inputs.items()
            if name in inputs
        }
    else:
        given = inputs
    given = _with_nullable(given, signature)
    if set(given) != set(signature.inputs):
        missing = sorted(set(signature.inputs) - set(given))
        unknown = sorted(set(given) - set(signature.inputs))
        raise invalid_argument(
            f"inputs: missing {missing or 'none'}, unknown {unknown or 'none'}; "
            f"allowed: exactly {list(signature.inputs)}"
        )
    arrays = {}
    for name, spec in signature.inputs.items():
        if spec.dtype is None:
            raise invalid_argument(f"{name}: found {spec}; allowed: numbers, booleans or strings")
        try:
            arrays[name] = as_array(_completed(given[name], spec), spec.dtype)
        except (ValueError, TypeError, OverflowError) as error:
            raise invalid_argument(
                f"{name}: found {_short(given[name])} ({error}); allowed: {spec}"
            ) from error
    return arrays


def _with_nullable(given: Mapping[str, Any], signature: Signature) -> Mapping[str, Any]:
    """Returns the inputs with those that are left out, of as many rows, where that is allowed."""
    if not given:
        return given
    first = next(iter(given.values()))
    left_out = [name for name, spec in signature.inputs.items() if spec.nullable]
    nothing = [None] * (len(first) if hasattr(first, "__len__") else 0)
    return {**dict.fromkeys(left_out, nothing), **given}


def _completed(values: Any, spec: TensorSpec) -> Any:
    if not spec.nullable or spec.dtype is None or spec.shape is None:
        return values
    return complete(values, spec.dtype, len(spec.shape))


def in_the_form_of(inputs: Any, answers: dict[str, np.ndarray]) -> Answers:
    """Returns answers as a DataFrame, a row each, if the inputs are one; else as they are.

    Text becomes `str`, but for outputs named `*_bytes`; an answer of several values, a list.

    Raises:
        ServingClientError: INTERNAL, if an output is not a row for each row.
    """
    if not is_frame(inputs):
        return answers
    columns = {}
    for name, array in answers.items():
        if array.ndim == 0 or len(array) != len(inputs):
            raise ServingClientError(
                StatusCode.INTERNAL,
                f"{name}: found an output of shape {list(array.shape)}; allowed for a DataFrame: "
                f"a row for each of its {len(inputs)}; ask with a dict of arrays",
            )
        values = array
        if array.dtype == STRING and not name.endswith("_bytes"):
            values = np.empty(array.shape, object)
            values.reshape(-1)[:] = [_text(item) for item in array.reshape(-1).tolist()]
        columns[name] = values if values.ndim == 1 else values.tolist()
    return type(inputs)(columns, index=inputs.index)


def rows_of(examples: pd.DataFrame) -> list[dict[str, Any]]:
    """Returns the rows of a DataFrame as features by name; None for what pandas calls missing."""
    values = [_values(examples[name], is_nullable=True) for name in examples]
    names = [str(name) for name in examples]
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def _values(column: pd.Series, *, is_nullable: bool) -> Sequence[Any] | np.ndarray:
    """Returns the values of a column; None for what pandas calls missing, if rows may lack it."""
    is_plain = isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf"
    if is_nullable and column.hasnans:
        return [None if lacks else item for item, lacks in zip(column, column.isna(), strict=True)]
    return column.to_numpy() if is_plain else column.tolist()


def _text(item: bytes) -> str | bytes:
    try:
        return item.decode("utf-8")
    except UnicodeDecodeError:
        return item


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
