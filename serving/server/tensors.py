"""TensorProto to NumPy and back.

The rules are TensorFlow's own (`Tensor::FromProto` in `core/framework/tensor.cc`): a tensor is read
from `tensor_content`, else from the typed `*_val` field of its dtype, whose last value fills what
is missing. Answers go out in the typed fields, as TF Serving sends them.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
from tensorflow.core.framework import types_pb2

from serving.server.errors import ServingError, invalid_argument

MAX_RANK = 32
"""NumPy's limit; TensorFlow's own is 254."""

MAX_FILLED_BYTES = 64 << 20
"""Largest tensor that a request may have filled in: few bytes on the wire must not take much."""


class _Codec(NamedTuple):
    dtype: np.dtype
    field: str
    wire: np.dtype | None = None
    """Type of the field's values in a packed field, if they go there bit by bit."""
    tag: bytes = b""
    """Key of the packed field: its number and wire type 2."""


_F32, _F64, _U8 = np.dtype("<f4"), np.dtype("<f8"), np.dtype("u1")

_CODECS: dict[int, _Codec] = {
    types_pb2.DT_FLOAT: _Codec(_F32, "float_val", _F32, b"\x2a"),
    types_pb2.DT_DOUBLE: _Codec(_F64, "double_val", _F64, b"\x32"),
    types_pb2.DT_INT32: _Codec(np.dtype("<i4"), "int_val"),
    types_pb2.DT_INT16: _Codec(np.dtype("<i2"), "int_val"),
    types_pb2.DT_INT8: _Codec(np.dtype("i1"), "int_val"),
    types_pb2.DT_UINT8: _Codec(np.dtype("u1"), "int_val"),
    types_pb2.DT_UINT16: _Codec(np.dtype("<u2"), "int_val"),
    types_pb2.DT_UINT32: _Codec(np.dtype("<u4"), "uint32_val"),
    types_pb2.DT_UINT64: _Codec(np.dtype("<u8"), "uint64_val"),
    types_pb2.DT_INT64: _Codec(np.dtype("<i8"), "int64_val"),
    types_pb2.DT_BOOL: _Codec(np.dtype("?"), "bool_val", _U8, b"\x5a"),
    types_pb2.DT_STRING: _Codec(np.dtype("O"), "string_val"),
    types_pb2.DT_HALF: _Codec(np.dtype("<f2"), "half_val"),
    types_pb2.DT_BFLOAT16: _Codec(np.dtype(ml_dtypes.bfloat16), "half_val"),
    types_pb2.DT_COMPLEX64: _Codec(np.dtype("<c8"), "scomplex_val", _F32, b"\x4a"),
    types_pb2.DT_COMPLEX128: _Codec(np.dtype("<c16"), "dcomplex_val", _F64, b"\x62"),
}

NUMPY_DTYPES: dict[int, np.dtype] = {number: codec.dtype for number, codec in _CODECS.items()}
"""NumPy's dtype of each DataType that a server can take; strings are objects that hold bytes."""

_DATA_TYPES: dict[np.dtype, int] = {codec.dtype: number for number, codec in _CODECS.items()}


def dtype_name(data_type: int) -> str:
    """Returns TensorFlow's name of a DataType, such as float, int64 or string."""
    known = data_type in types_pb2.DataType.values()
    return types_pb2.DataType.Name(data_type)[3:].lower() if known else f"type {data_type}"


def to_array(tensor: Any, alias: str) -> np.ndarray:
    """Returns the values of a TensorProto; strings as an object array of bytes.

    The array may share the message's memory, and is read-only then.

    Args:
        alias: the input's name, for the message of an error.

    Raises:
        ServingError: INVALID_ARGUMENT if dtype, shape and content do not make a tensor.
    """
    codec = _CODECS.get(tensor.dtype)
    if codec is None:
        raise _parsing_error(alias, f"{dtype_name(tensor.dtype)} is not a type that is served")
    shape, count = _shape(tensor.tensor_shape, alias)
    content = tensor.tensor_content
    if count == 0:
        return np.empty(shape, codec.dtype)
    if not content:
        return _from_field(tensor, codec, count, alias).reshape(shape)
    if codec.dtype.kind == "O":
        return _decode_strings(content, count, alias).reshape(shape)
    if len(content) != count * codec.dtype.itemsize:
        raise _parsing_error(
            alias,
            f"tensor_content has {len(content)} bytes; {count * codec.dtype.itemsize} make "
            f"{dtype_name(tensor.dtype)} of shape {list(shape)}",
        )
    if codec.dtype.kind == "b":
        # Any byte may be sent, but only 0 and 1 are booleans.
        return (np.frombuffer(content, _U8) != 0).reshape(shape)
    return np.frombuffer(content, codec.dtype).reshape(shape)


def fill_proto(array: np.ndarray, tensor: Any) -> None:
    """Writes an array of one of `NUMPY_DTYPES` into an empty TensorProto, in the typed field.

    Raises:
        KeyError: for an array of another dtype.
    """
    data_type = types_pb2.DT_STRING if array.dtype.kind in "OSU" else _DATA_TYPES[array.dtype]
    codec = _CODECS[data_type]
    tensor.dtype = data_type
    for size in array.shape:
        tensor.tensor_shape.dim.add().size = size
    # A shape without dimensions is a scalar only if it is there.
    tensor.tensor_shape.SetInParent()
    if codec.wire is not None:
        # Packed fixed-width fields are the array's own bytes: no Python number is made.
        data = np.ascontiguousarray(array, codec.dtype).tobytes()
        if data:
            tensor.MergeFromString(codec.tag + _varint(len(data)) + data)
    elif codec.field == "half_val":
        tensor.half_val.extend(array.ravel().view(np.uint16).tolist())
    elif data_type == types_pb2.DT_STRING:
        tensor.string_val.extend(map(_as_bytes, array.ravel().tolist()))
    else:
        getattr(tensor, codec.field).extend(array.ravel().tolist())


def _shape(message: Any, alias: str) -> tuple[tuple[int, ...], int]:
    """Returns a tensor's shape and its number of elements."""
    if message.unknown_rank:
        raise _parsing_error(alias, "its shape has no rank")
    shape = tuple([dim.size for dim in message.dim])
    if len(shape) > MAX_RANK:
        raise _parsing_error(alias, f"rank {len(shape)}; at most {MAX_RANK} are served")
    if shape and min(shape) < 0:
        raise _parsing_error(alias, f"shape {list(shape)} has a negative size")
    count = math.prod(shape)
    # NumPy takes the product of the others even where one size is 0.
    if (count or math.prod(size or 1 for size in shape)) >= 1 << 58:
        raise _parsing_error(alias, f"shape {list(shape)} is too large")
    return shape, count


def _from_field(tensor: Any, codec: _Codec, count: int, alias: str) -> np.ndarray:
    """Returns `count` values of the typed field, the last one repeated; zeros if there are none.

    Values past `count` are left out, as TensorFlow does.
    """
    if count * codec.dtype.itemsize > MAX_FILLED_BYTES:
        sent = len(getattr(tensor, codec.field))
        if sent * 2 < count:
            raise _parsing_error(
                alias, f"{count} elements from {sent} values; send large tensors in full"
            )
    values = getattr(tensor, codec.field)
    if codec.dtype.kind == "c":
        found = np.array(values[: 2 * count], codec.wire)
        if len(found) % 2:
            raise _parsing_error(alias, f"{codec.field} has an odd number of parts")
        found = found.view(codec.dtype)
    elif codec.field == "half_val":
        found = _checked(np.array(values[:count], np.int64), np.dtype(np.uint16), codec, alias)
        found = found.view(codec.dtype)
    elif codec.dtype.kind == "O":
        found = np.empty(min(len(values), count), object)
        found[:] = values[:count]
    elif codec.field == "int_val":
        found = _checked(np.array(values[:count], np.int64), codec.dtype, codec, alias)
    else:
        found = np.array(values[:count], codec.dtype)
    if len(found) == count:
        return found
    if len(found) == 0:
        if codec.dtype.kind == "O":
            return np.full(count, b"", object)
        return np.zeros(count, codec.dtype)
    return np.concatenate([found, np.repeat(found[-1:], count - len(found))])


def _checked(values: np.ndarray, dtype: np.dtype, codec: _Codec, alias: str) -> np.ndarray:
    """Returns 64-bit integers in the narrower type that they stand for."""
    limits = np.iinfo(dtype)
    if values.size and (values.min() < limits.min or values.max() > limits.max):
        raise _parsing_error(alias, f"{codec.field} has a value out of the range of {codec.dtype}")
    return values.astype(dtype)


def _decode_strings(content: bytes, count: int, alias: str) -> np.ndarray:
    """Returns the strings of `tensor_content`: all lengths as varints, then all bytes."""
    problem = _parsing_error(alias, "tensor_content does not hold the strings of its shape")
    if count > len(content):
        raise problem
    lengths = []
    position = 0
    for _ in range(count):
        length = shift = 0
        while True:
            if position >= len(content) or shift > 56:
                raise problem
            byte = content[position]
            position += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        lengths.append(length)
    if position + sum(lengths) != len(content):
        raise problem
    found = np.empty(count, object)
    for index, length in enumerate(lengths):
        found[index] = content[position : position + length]
        position += length
    return found


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _parsing_error(alias: str, reason: str) -> ServingError:
    return invalid_argument(f"tensor parsing error: {alias}: {reason}")
