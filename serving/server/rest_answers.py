"""Tensors to JSON, as TF Serving's REST interface has it (`util/json_tensor.cc`).

Row format answers with `predictions`, one for each row; column format with `outputs`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import orjson

from serving.server.errors import invalid_argument


def predict_answer(outputs: Mapping[str, np.ndarray], is_row: bool) -> bytes:
    """Returns a predict answer's JSON.

    A single output goes without its name. Floats have as many digits as tell them from others of
    their dtype; NaN and infinities are the words NaN, Infinity and -Infinity.

    Raises:
        ServingError: INVALID_ARGUMENT if rows are asked for and the outputs have none, or not
            equally many; or for complex numbers, which JSON has no form for.
    """
    if is_row:
        _check_rows(outputs)
    values = {alias: _writable(alias, array) for alias, array in outputs.items()}
    answer: Any
    if len(values) == 1:
        (answer,) = values.values()
    elif is_row:
        names = list(values)
        answer = [dict(zip(names, row, strict=True)) for row in zip(*values.values(), strict=True)]
    else:
        answer = values
    key = "predictions" if is_row else "outputs"
    return _dumps({key: answer}, values.values())


def classify_answer(labels: np.ndarray | None, scores: np.ndarray | None) -> bytes:
    """Returns a classify answer's JSON: for each example its [label, score] pairs.

    Args:
        labels: [batch, classes] of bytes; None: they are "".
        scores: [batch, classes] of float32; None: they are 0.
    """
    shape = (labels if labels is not None else scores).shape  # type: ignore[union-attr]
    names = [[""] * shape[1]] * shape[0] if labels is None else _texts(labels, False)
    values = np.zeros(shape, np.float32) if scores is None else scores
    results = [list(map(list, zip(*row, strict=True))) for row in zip(names, values, strict=True)]
    return _dumps({"results": results}, [values])


def regress_answer(values: np.ndarray) -> bytes:
    """Returns a regress answer's JSON: a number for each example."""
    return _dumps({"results": values}, [values])


def _check_rows(outputs: Mapping[str, np.ndarray]) -> None:
    batch = None
    for alias, array in outputs.items():
        if array.ndim == 0:
            raise invalid_argument(f"Tensor name: {alias} has no shape information ")
        if batch is not None and len(array) != batch:
            raise invalid_argument(
                f"Tensor name: {alias} has inconsistent batch size: {len(array)} expecting: {batch}"
            )
        batch = len(array)


def _writable(alias: str, array: np.ndarray) -> Any:
    """Returns an output in a form that orjson writes, but for NaN and infinities."""
    kind = array.dtype.kind
    if kind in "OSU":
        return _texts(array, alias.endswith("_bytes"))
    if kind == "c":
        raise invalid_argument(f"Failed to write JSON value for tensor type: {array.dtype}")
    if kind == "V":
        array = array.astype(np.float32)  # bfloat16
    return np.ascontiguousarray(array) if array.ndim else array[()]


def _texts(array: np.ndarray, are_bytes: bool) -> Any:
    """Returns strings in nested lists; as base64 where they are bytes, or no UTF-8."""
    flat = np.empty(array.size, object)
    flat[:] = [_text(value, are_bytes) for value in array.ravel().tolist()]
    return flat.reshape(array.shape).tolist()


def _text(value: bytes | str, are_bytes: bool) -> str | dict[str, str]:
    data = value.encode() if isinstance(value, str) else value
    if not are_bytes:
        try:
            return data.decode()
        except UnicodeDecodeError:
            # TF Serving writes such bytes as they are, which is no JSON any more.
            pass
    return {"b64": base64.b64encode(data).decode()}


def _is_finite(value: Any) -> bool:
    is_float = isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind == "f"
    return not is_float or bool(np.logical_and.reduce(np.isfinite(value), None))


def _dumps(document: Any, values: Iterable[Any]) -> bytes:
    """Writes a document of `values`; NaN and infinities, which orjson has as null, as words."""
    text = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    if b"null" not in text or all(map(_is_finite, values)):
        return text
    return json.dumps(document, default=_plain).encode()


def _plain(value: Any) -> Any:
    """Returns an array as lists of Python's numbers, as short as its dtype allows."""
    array = np.asarray(value)
    if array.dtype.kind == "f" and array.itemsize < 8:
        return array.astype("U32").astype(np.float64).tolist()
    return array.tolist()
