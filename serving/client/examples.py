"""tf.Examples without TensorFlow: from features by name, as a message and as REST has them."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from google.protobuf.message import DecodeError

from serving.client.api import MESSAGES
from serving.client.errors import invalid_argument
from serving.client.frames import is_frame, rows_of

if TYPE_CHECKING:
    import pandas as pd

Examples: TypeAlias = "Iterable[Any] | pd.DataFrame"
"""Each a mapping from feature to value or values, a tf.Example, or one serialized; or a DataFrame
with a row for each."""


def to_examples(examples: Examples) -> list[Any]:
    """Returns a message for each example.

    Whole numbers and booleans are int64 features, other numbers float, text and bytes are bytes; a
    feature whose value is None, or a list of none, is left out.

    Raises:
        ServingClientError: INVALID_ARGUMENT, if one cannot be made an Example.
    """
    rows = rows_of(examples) if is_frame(examples) else examples
    return [_to_example(row, number) for number, row in enumerate(rows, start=1)]


def to_json(example: Any) -> dict[str, list[Any]]:
    """Returns the features of a message as TF Serving's REST interface takes them."""
    return {
        name: [{"b64": base64.b64encode(item).decode()} for item in values]
        if values and isinstance(values[0], bytes)
        else values
        for name, values in features_of(example).items()
    }


def features_of(example: Any) -> dict[str, list[Any]]:
    """Returns the values of each feature of a message: bytes, floats or integers."""
    features = {}
    for name, feature in sorted(example.features.feature.items()):
        for field in ("bytes_list", "float_list", "int64_list"):
            if feature.HasField(field):
                features[name] = list(getattr(feature, field).value)
    return features


def parse_example(serialized: bytes) -> Any:
    """Reads a serialized tf.Example.

    Raises:
        ValueError: if it is none.
    """
    try:
        return MESSAGES["Example"].FromString(serialized)
    except DecodeError as error:
        raise ValueError("found bytes that do not parse; allowed: a tf.Example") from error


def _to_example(row: Any, number: int) -> Any:
    if hasattr(row, "SerializeToString"):
        row = row.SerializeToString()
    where = f"example {number}"
    if isinstance(row, bytes):
        try:
            return parse_example(row)
        except ValueError as error:
            raise invalid_argument(f"{where}: {error}") from error
    if not isinstance(row, Mapping):
        raise invalid_argument(
            f"{where}: found {type(row).__name__}; allowed: features by name, or a tf.Example"
        )
    example = MESSAGES["Example"]()
    for name, value in row.items():
        if value is not None:
            try:
                _set_feature(example.features.feature, name, value)
            except (TypeError, ValueError) as error:
                raise invalid_argument(
                    f"{where}: {name}: {error}; allowed: numbers, or text and bytes"
                ) from error
    return example


def _set_feature(features: Any, name: str, value: Any) -> None:
    if isinstance(value, (str, bytes)):
        value = [value]
    # NumPy's own text would lose the zero bytes at an end.
    holds_text = isinstance(value, (list, tuple)) and value and isinstance(value[0], (str, bytes))
    array = np.asarray(value, object if holds_text else None).reshape(-1)
    if not array.size:
        return
    feature = features[name]
    if array.dtype.kind in "biu":
        feature.int64_list.value.extend(array.tolist())
    elif array.dtype.kind == "f":
        feature.float_list.value.extend(array.tolist())
    elif array.dtype.kind in "OSU":
        feature.bytes_list.value.extend(
            item.encode() if isinstance(item, str) else item for item in array.tolist()
        )
    else:
        raise TypeError(f"found {array.dtype}")
