"""JSON to tensors, as TF Serving's REST interface has it (`util/json_tensor.cc`).

Row format has a list of `instances`, one for each row of the batch; column format has the whole
tensors in `inputs`. Words of errors are TF Serving's where it has the error.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from grpc import StatusCode
from tensorflow.core.framework import types_pb2

from serving.server.errors import ServingError, invalid_argument
from serving.server.json_text import kind_of, parse, shown
from serving.server.tensors import dtype_name
from serving.tensor_protos import DTYPES, MAX_RANK

# By DataType: the largest integer that a floating type holds exactly, with all below it.
_EXACT_INTEGERS = {
    types_pb2.DT_BFLOAT16: 2**8 - 1,
    types_pb2.DT_HALF: 2**11 - 1,
    types_pb2.DT_FLOAT: 2**24 - 1,
    types_pb2.DT_DOUBLE: 2**53 - 1,
}
_LIMITS = {
    number: (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    for number, dtype in DTYPES.items()
    if dtype.kind in "iu"
} | {number: (-largest, largest) for number, largest in _EXACT_INTEGERS.items()}


class Request(NamedTuple):
    """A predict request before its tensors are made.

    Attributes:
        signature: "" for the default one.
        is_row: whether it came as `instances`, so that the answer is `predictions`.
        value: what stood under `instances` or `inputs`.
        has_booleans: whether a boolean may be among the values.
        has_texts: whether a string may be.
    """

    signature: str
    is_row: bool
    value: Any
    has_booleans: bool
    has_texts: bool


def signature_name(document: Mapping[str, Any]) -> str:
    """Returns the request's `signature_name`, "" if it has none."""
    name = document.get("signature_name", "")
    if type(name) is not str:
        raise invalid_argument(
            f"JSON Value: {shown(document)} not formatted correctly. "
            "'signature_name' key must be a string value."
        )
    return name


def parse_predict(body: bytes) -> Request:
    """Reads a predict request's body, but for its tensors.

    Raises:
        ServingError: INVALID_ARGUMENT if it is not an object with exactly one of `instances`, a
            list with something in it, and `inputs`.
    """
    document = parse(body)
    signature = signature_name(document)
    is_row = "instances" in document
    if is_row and "inputs" in document:
        raise invalid_argument(
            f"JSON Value: {shown(document)} Not formatted correctly expecting only one of "
            "'inputs' or 'instances' keys to exist "
        )
    if not is_row and "inputs" not in document:
        raise invalid_argument("Missing 'inputs' or 'instances' key")
    value = document["instances" if is_row else "inputs"]
    if is_row and type(value) is not list:
        raise invalid_argument(
            f"JSON Value: {shown(document)} Excepting 'instances' to be an list/array"
        )
    if is_row and not value:
        raise invalid_argument(f"JSON Value: {shown(document)} No values in 'instances' array")
    # In NumPy a boolean among numbers is 0 or 1, and "1" may be a number. Without the words there
    # is no boolean, and no string with but the key's own two quotes. To look for one letter first
    # is much the faster: most bodies have only digits.
    has_booleans = (b"r" in body and b"true" in body) or (b"l" in body and b"false" in body)
    return Request(signature, is_row, value, has_booleans, _has_third(body, b'"'))


def _has_third(body: bytes, mark: bytes) -> bool:
    first = body.find(mark)
    return body.find(mark, body.find(mark, first + 1) + 1) > first


def to_arrays(request: Request, dtypes: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Returns one array for each input.

    Args:
        dtypes: DataType of each of the signature's inputs.

    Raises:
        ServingError: INVALID_ARGUMENT if inputs are missing or unknown, a list is ragged, or a
            value is of another kind or out of range; UNIMPLEMENTED for a dtype that JSON has no
            form for.
    """
    columns = _columns_of_rows(request.value, dtypes) if request.is_row else None
    if columns is None:
        columns = _columns(request, dtypes)
    return {alias: _array(value, dtypes[alias], request) for alias, value in columns.items()}


def _columns(request: Request, dtypes: Mapping[str, int]) -> dict[str, Any]:
    value = request.value
    if request.is_row or type(value) is not dict or _is_base64(value):
        if len(dtypes) != 1:
            kind = "instances is a plain list" if request.is_row else "inputs is a plain value/list"
            wanted = "list of objects" if request.is_row else "an object"
            raise invalid_argument(
                f"{kind}, but expecting {wanted} as multiple input tensors required as per "
                "tensorinfo_map"
            )
        return {next(iter(dtypes)): value}
    missing = [alias for alias in dtypes if alias not in value]
    if missing:
        raise invalid_argument(f"Missing named input: {missing[0]} in 'inputs' object.")
    return {alias: value[alias] for alias in dtypes}


def _columns_of_rows(rows: list[Any], dtypes: Mapping[str, int]) -> dict[str, Any] | None:
    """Returns the columns of rows that are objects; None if they are plain values."""
    are_objects = _is_row_object(rows[0])
    for index, row in enumerate(rows):
        if _is_row_object(row) != are_objects:
            found = "list" if are_objects else "object"
            expected = "object" if are_objects else "value/list"
            raise invalid_argument(
                f"Expecting {expected} but got {found} at item {index} of input list"
            )
        if are_objects and row.keys() != dtypes.keys():
            raise invalid_argument(
                f"Failed to process element: {index} of 'instances' list. JSON object: "
                f"{shown(row)} keys must be equal to: {','.join(sorted(dtypes))}"
            )
    if not are_objects:
        return None
    return {alias: [row[alias] for row in rows] for alias in dtypes}


def _is_row_object(value: Any) -> bool:
    return type(value) is dict and not _is_base64(value)


def _is_base64(value: dict[str, Any]) -> bool:
    return len(value) == 1 and type(value.get("b64")) is str


def _array(value: Any, data_type: int, request: Request) -> np.ndarray:
    """Returns nested lists as an array, if every value is one that the dtype can hold."""
    dtype = DTYPES.get(data_type)
    if dtype is None or dtype.kind == "c":
        raise ServingError(
            StatusCode.UNIMPLEMENTED,
            f"Conversion of JSON Value: {shown(value)} to type: {dtype_name(data_type)}",
        )
    if dtype.kind not in "Ob" and not request.has_booleans:
        found = _array_of_numbers(value, data_type, request.has_texts)
        if found is not None:
            return found
    shape, leaves = _flatten(value)
    check = {"O": _check_string, "b": _check_boolean, "i": _check_integer, "u": _check_integer}.get(
        dtype.kind, _check_float
    )
    checked = [check(leaf, dtype, data_type) for leaf in leaves]
    found = np.empty(len(checked), dtype)
    with np.errstate(over="ignore"):
        found[:] = checked
    return found.reshape(shape)


def _array_of_numbers(value: Any, data_type: int, has_texts: bool) -> np.ndarray | None:
    """Returns what NumPy makes of nested lists, None where that might not be what was sent."""
    dtype = DTYPES[data_type]
    is_integer = dtype.kind in "iu"
    try:
        # To name the type saves NumPy a pass, but it would round decimals and parse strings.
        found = np.array(value, None if is_integer or has_texts else np.float64)
    except (ValueError, TypeError, OverflowError):
        return None
    if found.dtype.kind not in ("iu" if is_integer else "iuf"):
        return found.astype(dtype) if found.size == 0 and found.dtype.kind == "f" else None
    if found.size:
        # Integers that a floating dtype cannot hold are refused, and decimals beyond its range;
        # NaN fails every comparison. To look the place up is half the cost of `max()`.
        least, most = _LIMITS[data_type]
        if not (found.item(found.argmax()) <= most and found.item(found.argmin()) >= least):
            return None
    return found.astype(dtype, copy=False)


def _flatten(value: Any) -> tuple[list[int], list[Any]]:
    """Returns the shape of nested lists, and the values in them.

    The shape is that of the first item at each level; the others must have it too.
    """
    shape: list[int] = []
    level = [value]
    while level and type(level[0]) is list:
        if len(shape) == MAX_RANK:
            raise invalid_argument(f"Encountered list at unexpected level: {MAX_RANK}")
        size = len(level[0])
        for item in level:
            if type(item) is not list:
                raise invalid_argument(
                    f"JSON Value: {shown(item)} found at incorrect level: {len(shape) + 1} in the "
                    "JSON DOM. A list was expected."
                )
            if len(item) != size:
                raise invalid_argument(
                    f"Encountered list at unexpected size: {len(item)} at level: {len(shape)} "
                    f"expected size: {size}"
                )
        shape.append(size)
        level = list(chain.from_iterable(level))
    for item in level:
        if type(item) is list:
            raise invalid_argument(
                f"Encountered list at unexpected level: {len(shape)} expected < {len(shape)}"
            )
    return shape, level


def _check_float(value: Any, dtype: np.dtype, data_type: int) -> float:
    if type(value) is int and abs(value) <= _EXACT_INTEGERS[data_type]:
        return float(value)
    if type(value) is float and (not math.isfinite(value) or _is_in_range(value, dtype)):
        return value
    if type(value) not in (int, float):
        raise _type_error(value, data_type)
    raise invalid_argument(
        f"Cannot convert JSON value: {shown(value)} to {dtype_name(data_type)} without loss of "
        "precision."
    )


def _is_in_range(value: float, dtype: np.dtype) -> bool:
    with np.errstate(over="ignore"):
        return bool(np.isfinite(np.array(value).astype(dtype).astype(np.float64)))


def _check_integer(value: Any, dtype: np.dtype, data_type: int) -> int:
    limits = np.iinfo(dtype)
    if type(value) is not int or not limits.min <= value <= limits.max:
        raise _type_error(value, data_type)
    return value


def _check_boolean(value: Any, dtype: np.dtype, data_type: int) -> bool:
    if type(value) is not bool:
        raise _type_error(value, data_type)
    return value


def _check_string(value: Any, dtype: np.dtype, data_type: int) -> bytes:
    if type(value) not in (str, dict):
        raise _type_error(value, data_type)
    return text_or_base64(value)


def text_or_base64(value: str | dict[str, Any]) -> bytes:
    """Returns the bytes of a string, or of `{"b64": "..."}`, whose padding may be left out.

    Raises:
        ServingError: INVALID_ARGUMENT if it is another object, or not base64.
    """
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError as error:
            raise invalid_argument(f"JSON Parse error: {error.reason} in a string") from error
    if not _is_base64(value):
        raise invalid_argument(
            f"JSON Value: {shown(value)} not formatted correctly for base64 data"
        )
    text = "".join(value["b64"].split()).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid_argument("Unable to base64 decode") from error


def _type_error(value: Any, data_type: int) -> ServingError:
    return invalid_argument(
        f"JSON Value: {shown(value)} Type: {kind_of(value)} is not of expected type: "
        f"{dtype_name(data_type)}"
    )
