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
from serving.client.metadata import Signature

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

    Columns of a DataFrame that are no inputs are left out.

    Raises:
        ServingClientError: INVALID_ARGUMENT, if inputs are missing, unknown, or of another type.
    """
    given: Mapping[str, Any]
    if is_frame(inputs):
        given = {name: _values(inputs[name]) for name in signature.inputs if name in inputs}
    else:
        given = inputs
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
            arrays[name] = as_array(given[name], spec.dtype)
        except (ValueError, TypeError, OverflowError) as error:
            raise invalid_argument(
                f"{name}: found {_short(given[name])} ({error}); allowed: {spec}"
            ) from error
    return arrays


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
    """Returns the rows of a DataFrame as features by name."""
    values = [_values(examples[name]) for name in examples]
    names = [str(name) for name in examples]
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def _values(column: pd.Series) -> Sequence[Any] | np.ndarray:
    is_plain = isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf"
    return column.to_numpy() if is_plain else column.tolist()


def _text(item: bytes) -> str | bytes:
    try:
        return item.decode("utf-8")
    except UnicodeDecodeError:
        return item


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
