"""What a row is, apart from where it stood: bytes to hash, lists for tf.Example, Python values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_BETWEEN_COLUMNS, _BETWEEN_VALUES, _NOTHING = b"\x1f", b"\x1e", b"\x00"


def contents(columns: Mapping[str, pa.Array]) -> list[bytes]:
    """Returns each row as bytes; the same rows give the same bytes in whatever file they stood."""
    parts = [_bytes(columns[name]) for name in sorted(columns)]
    return pc.binary_join_element_wise(
        *parts,
        pa.scalar(_BETWEEN_COLUMNS, pa.binary()),
        null_handling="replace",
        null_replacement=_NOTHING,
    ).to_pylist()


def as_feature(values: pa.Array) -> pa.ListArray:
    """Returns a column as tf.Example has it: a list of the values of each row, often of one.

    A row without values has no list rather than an empty one: statistics count it as missing.
    """
    if pa.types.is_list(values.type):
        lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
        values = values.flatten()
    else:
        lengths = values.is_valid().to_numpy(zero_copy_only=False).astype(np.int64)
        values = values.drop_null()
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    nothing = np.append(lengths == 0, False)
    return pa.ListArray.from_arrays(pa.array(offsets, mask=nothing), values)


def chunked(parts: Sequence[pa.Array]) -> pa.ChunkedArray:
    """Returns a column of several tables; of lists, if it is one of lists in any."""
    if any(pa.types.is_list(part.type) for part in parts):
        parts = [as_feature(part) for part in parts]
    return pa.chunked_array(parts)


def python_values(columns: Mapping[str, pa.Array], count: int) -> list[Mapping[str, Any]]:
    """Returns the first rows as Python has them, texts as str; what is missing is left out."""
    first = {name: values.slice(0, count).to_pylist() for name, values in columns.items()}
    return [
        {
            name: _decoded(value)
            for name, value in zip(first, row, strict=True)
            if value is not None and value != []
        }
        for row in zip(*first.values(), strict=True)
    ]


def _bytes(values: pa.Array) -> pa.Array:
    if pa.types.is_list(values.type):
        inner = pa.ListArray.from_arrays(values.offsets, _bytes(values.flatten()))
        joined = pc.binary_join(inner, pa.scalar(_BETWEEN_VALUES, pa.binary()))
        some = pc.greater(pc.fill_null(pc.list_value_length(values), 0), 0)
        return pc.if_else(some, joined, None)
    if pa.types.is_binary(values.type):
        return values
    return values.cast(pa.string()).cast(pa.binary())


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value
