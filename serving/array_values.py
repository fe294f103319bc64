"""A value as an array of a tensor's type, and what it loses by that: nothing. No TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np

STRING = np.dtype(object)
"""The type of strings, of which each is bytes."""


def as_array(value: Any, dtype: np.dtype) -> np.ndarray:
    """Returns `value` as an array of `dtype`, if that loses nothing but digits of a float.

    NumPy alone would make NaN of None, 1 of 1.7 where integers are wanted, and infinity of what is
    too large; and it would cut the zero bytes at the end of a serialized message.

    Raises:
        ValueError, TypeError, OverflowError: if it is ragged, or of another kind.
    """
    if dtype == STRING:
        texts = np.array(value, dtype=object)
        flat = texts.reshape(-1)
        flat[:] = [as_bytes(item) for item in flat.tolist()]
        return flat.reshape(texts.shape)
    found = _whole(value) if dtype == np.uint64 else np.asarray(value)
    if found.dtype == dtype:
        return found
    if found.size and found.dtype.kind not in _kinds(dtype):
        raise TypeError(f"{found.dtype} is not {dtype.name}")
    with np.errstate(over="ignore", invalid="ignore"):
        converted = found.astype(dtype)
    if dtype.kind in "iu":
        is_kept = np.array_equal(converted, found)
    elif dtype.kind == "b":
        is_kept = True
    else:
        is_kept = np.array_equal(np.isfinite(converted), np.isfinite(found))
    if found.size and not is_kept:
        raise OverflowError(f"out of the range of {dtype.name}")
    return converted


def as_bytes(item: Any) -> bytes:
    """Returns bytes as they are, and text as UTF-8.

    Raises:
        TypeError: if it is neither.
    """
    if isinstance(item, bytes):
        return item
    if isinstance(item, str):
        return item.encode("utf-8")
    raise TypeError(f"found {type(item).__name__}; allowed: bytes or text")


def _whole(value: Any) -> np.ndarray:
    """Returns `value` as an array; NumPy alone would make floats of large and small integers."""
    found = np.asarray(value)
    if isinstance(value, np.ndarray) or found.dtype.kind != "f":
        return found
    exact = np.array(value, dtype=object)
    items = exact.reshape(-1).tolist()
    if all(type(item) is int and 0 <= item < 2**64 for item in items):
        return exact.astype(np.uint64)
    return found


def _kinds(dtype: np.dtype) -> str:
    """Returns NumPy's kinds of values that a tensor of `dtype` takes."""
    if dtype.kind == "b":
        return "b"
    if dtype.kind in "iu":
        return "iu"
    return "cfiu" if dtype.kind == "c" else "fiu"
