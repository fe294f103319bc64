"""TensorProto to NumPy and back, for servers and clients. No TensorFlow.

Works on TensorFlow's TensorProto and on any message with the same fields
(`tensorflow/core/framework/tensor.proto`). The rules are those of `Tensor::FromProto` in
`core/framework/tensor.cc`: a tensor is read from `tensor_content`, else from the typed `*_val`
field of its dtype, whose last value fills what is missing. Strings are object arrays of bytes.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from serving.array_values import STRING, as_bytes

MAX_RANK = 32
"""NumPy's limit; TensorFlow's own is 254."""

MAX_FILLED_BYTES = 64 << 20
"""Largest tensor that a message may have filled in: few bytes on the wire must not take much."""

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


class _Type(NamedTuple):
    name: str
    dtype: np.dtype
    field: str


# Numbers and names of tensorflow/core/framework/types.proto, and the field of single values.
_TYPES: dict[int, _Type] = {
    1: _Type("DT_FLOAT", np.dtype("<f4"), "float_val"),
    2: _Type("DT_DOUBLE", np.dtype("<f8"), "double_val"),
    3: _Type("DT_INT32", np.dtype("<i4"), "int_val"),
    4: _Type("DT_UINT8", np.dtype("u1"), "int_val"),
    5: _Type("DT_INT16", np.dtype("<i2"), "int_val"),
    6: _Type("DT_INT8", np.dtype("i1"), "int_val"),
    7: _Type("DT_STRING", STRING, "string_val"),
    8: _Type("DT_COMPLEX64", np.dtype("<c8"), "scomplex_val"),
    9: _Type("DT_INT64", np.dtype("<i8"), "int64_val"),
    10: _Type("DT_BOOL", np.dtype("?"), "bool_val"),
    14: _Type("DT_BFLOAT16", BFLOAT16, "half_val"),
    17: _Type("DT_UINT16", np.dtype("<u2"), "int_val"),
    18: _Type("DT_COMPLEX128", np.dtype("<c16"), "dcomplex_val"),
    19: _Type("DT_HALF", np.dtype("<f2"), "half_val"),
    22: _Type("DT_UINT32", np.dtype("<u4"), "uint32_val"),
    23: _Type("DT_UINT64", np.dtype("<u8"), "uint64_val"),
}

DTYPES: dict[int, np.dtype] = {number: known.dtype for number, known in _TYPES.items()}
"""NumPy's dtype of each DataType that is served; strings are objects that hold bytes."""

DTYPE_NUMBERS = {dtype: number for number, dtype in DTYPES.items()}
DTYPE_NAMES = {known.name: known.dtype for known in _TYPES.values()}


class InvalidTensor(ValueError):
    """A TensorProto that means no tensor."""


def dtype_name(dtype: np.dtype) -> str:
    """Returns the name that TensorFlow has for a type: `string` for objects."""
    return "string" if dtype == STRING else dtype.name


def fill_head(proto: Any, number: int, shape: tuple[int, ...]) -> None:
    """Writes type and shape into an empty TensorProto."""
    proto.dtype = number
    # A shape without dimensions is a scalar only if it is there.
    proto.tensor_shape.SetInParent()
    for size in shape:
        proto.tensor_shape.dim.add(size=size)


def fill_proto(proto: Any, array: np.ndarray) -> None:
    """Writes an array into an empty TensorProto: strings one by one, all else as its bytes.

    Args:
        array: of a type of `DTYPES`; of objects, each bytes, or text that goes as UTF-8.

    Raises:
        TypeError: if the array, or an object in it, is of another type.
    """
    if array.dtype.kind in "SU":
        array = array.astype(object)
    number = DTYPE_NUMBERS.get(array.dtype.newbyteorder("="))
    if number is None:
        raise TypeError(f"found an array of {array.dtype}; allowed: {', '.join(DTYPE_NAMES)}")
    fill_head(proto, number, array.shape)
    if array.dtype == STRING:
        proto.string_val.extend(map(as_bytes, array.reshape(-1).tolist()))
    else:
        native = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
        proto.tensor_content = native.tobytes()


def to_array(proto: Any) -> np.ndarray:
    """Returns the values of a TensorProto.

    The array may share the message's memory, and is read-only then.

    Raises:
        InvalidTensor: if type, shape and content do not make a tensor.
    """
    known = _TYPES.get(proto.dtype)
    if known is None:
        raise InvalidTensor(f"found type {proto.dtype}; allowed: {', '.join(DTYPE_NAMES)}")
    shape, count = _shape(proto.tensor_shape)
    dtype = known.dtype
    if count == 0:
        return np.empty(shape, dtype)
    content = proto.tensor_content
    if not content:
        return _from_field(proto, known, count).reshape(shape)
    if dtype == STRING:
        return _decode_strings(content, count).reshape(shape)
    if len(content) != count * dtype.itemsize:
        raise InvalidTensor(
            f"found {len(content)} bytes of tensor_content; allowed: {count * dtype.itemsize}, "
            f"{known.name} of shape {list(shape)}"
        )
    if dtype.kind == "b":
        # Any byte may be sent, but only 0 and 1 are booleans.
        return (np.frombuffer(content, np.uint8) != 0).reshape(shape)
    return np.frombuffer(content, dtype).reshape(shape)


def _shape(message: Any) -> tuple[tuple[int, ...], int]:
    """Returns a tensor's shape and its number of elements."""
    shape = tuple([dim.size for dim in message.dim])
    if message.unknown_rank or (shape and min(shape) < 0):
        raise InvalidTensor(f"found a shape that is not known, {list(shape)}; allowed: sizes")
    if len(shape) > MAX_RANK:
        raise InvalidTensor(f"found rank {len(shape)}; allowed: at most {MAX_RANK}")
    count = math.prod(shape)
    # NumPy takes the product of the others even where one size is 0.
    if (count or math.prod(size or 1 for size in shape)) >= 1 << 58:
        raise InvalidTensor(f"found shape {list(shape)}; allowed: what memory could hold")
    return shape, count


def _from_field(proto: Any, known: _Type, count: int) -> np.ndarray:
    """Returns `count` values of the typed field, the last one repeated; zeros if there are none.

    Values past `count` are left out, as TensorFlow does.
    """
    values, dtype = getattr(proto, known.field), known.dtype
    if count * dtype.itemsize > MAX_FILLED_BYTES and len(values) * 2 < count:
        raise InvalidTensor(
            f"found {len(values)} values in {known.field}; allowed: {count}, as tensors of more "
            f"than {MAX_FILLED_BYTES} bytes are not filled in"
        )
    if dtype.kind == "c":
        found = np.array(values[: 2 * count], dtype.type(0).real.dtype)
        if len(found) % 2:
            raise InvalidTensor(f"found half a number in {known.field}; allowed: pairs")
        found = found.view(dtype)
    elif known.field == "half_val":
        bits = np.array(values[:count], np.int64)
        found = _checked(bits, np.dtype(np.uint16), known).view(dtype)
    elif dtype == STRING:
        found = np.empty(min(len(values), count), object)
        found[:] = values[:count]
    elif known.field == "int_val":
        found = _checked(np.array(values[:count], np.int64), dtype, known)
    else:
        found = np.array(values[:count], dtype)
    if len(found) == count:
        return found
    if len(found) == 0:
        return np.full(count, b"" if dtype == STRING else dtype.type(0), dtype)
    return np.concatenate([found, np.repeat(found[-1:], count - len(found))])


def _checked(values: np.ndarray, dtype: np.dtype, known: _Type) -> np.ndarray:
    """Returns 64-bit integers in the narrower type that they stand for."""
    limits = np.iinfo(dtype)
    if values.size and (values.min() < limits.min or values.max() > limits.max):
        raise InvalidTensor(f"found a value in {known.field} out of the range of {known.name}")
    return values.astype(dtype)


def _decode_strings(content: bytes, count: int) -> np.ndarray:
    """Returns the strings of `tensor_content`: all lengths as varints, then all bytes."""
    problem = InvalidTensor("found tensor_content that does not hold the strings of its shape")
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
