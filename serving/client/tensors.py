"""TensorProto to NumPy and back.

No TensorFlow: works on its TensorProto and on any message with the same fields. The layout of the
fields is that of `tensorflow/core/framework/tensor.proto`. Strings are object arrays of bytes.
"""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np

from serving.array_values import STRING, as_bytes

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)

# tensorflow/core/framework/types.proto: number -> name, NumPy's type, field of single values.
_TYPES: dict[int, tuple[str, np.dtype, str]] = {
    1: ("DT_FLOAT", np.dtype(np.float32), "float_val"),
    2: ("DT_DOUBLE", np.dtype(np.float64), "double_val"),
    3: ("DT_INT32", np.dtype(np.int32), "int_val"),
    4: ("DT_UINT8", np.dtype(np.uint8), "int_val"),
    5: ("DT_INT16", np.dtype(np.int16), "int_val"),
    6: ("DT_INT8", np.dtype(np.int8), "int_val"),
    7: ("DT_STRING", STRING, "string_val"),
    8: ("DT_COMPLEX64", np.dtype(np.complex64), "scomplex_val"),
    9: ("DT_INT64", np.dtype(np.int64), "int64_val"),
    10: ("DT_BOOL", np.dtype(np.bool_), "bool_val"),
    14: ("DT_BFLOAT16", BFLOAT16, "half_val"),
    17: ("DT_UINT16", np.dtype(np.uint16), "int_val"),
    18: ("DT_COMPLEX128", np.dtype(np.complex128), "dcomplex_val"),
    19: ("DT_HALF", np.dtype(np.float16), "half_val"),
    22: ("DT_UINT32", np.dtype(np.uint32), "uint32_val"),
    23: ("DT_UINT64", np.dtype(np.uint64), "uint64_val"),
}
DTYPES = {number: dtype for number, (_, dtype, _) in _TYPES.items()}
DTYPE_NUMBERS = {dtype: number for number, dtype in DTYPES.items()}
DTYPE_NAMES = {name: dtype for name, dtype, _ in _TYPES.values()}

MAX_REPEATED = 2**24
"""Elements that a tensor may have whose proto holds fewer: a few bytes must not ask for memory
without end."""


class InvalidTensor(ValueError):
    """A TensorProto that means no tensor."""


def dtype_name(dtype: np.dtype) -> str:
    """Returns the name that TensorFlow has for a type: `string` for objects."""
    return "string" if dtype == STRING else dtype.name


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
    proto.dtype = number
    shape = proto.tensor_shape
    shape.SetInParent()  # a scalar has a shape too, of no dimensions
    for size in array.shape:
        shape.dim.add(size=size)
    if array.dtype == STRING:
        proto.string_val.extend(map(as_bytes, array.reshape(-1).tolist()))
    else:
        native = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
        proto.tensor_content = native.tobytes()


def from_proto(proto: Any) -> np.ndarray:
    """Returns the tensor of a TensorProto; a view, read-only, where it holds `tensor_content`.

    Fewer values than elements repeat the last, none are zeros, as TensorFlow reads them.

    Raises:
        InvalidTensor: if type, shape and content do not make a tensor.
    """
    if proto.dtype not in _TYPES:
        raise InvalidTensor(f"found type {proto.dtype}; allowed: {', '.join(DTYPE_NAMES)}")
    name, dtype, field = _TYPES[proto.dtype]
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if proto.tensor_shape.unknown_rank or any(size < 0 for size in shape):
        raise InvalidTensor(f"found a shape that is not known, {list(shape)}; allowed: sizes")
    count = math.prod(shape)
    if proto.tensor_content:
        if dtype == STRING:
            raise InvalidTensor("found strings in tensor_content; allowed: in string_val")
        size = len(proto.tensor_content)
        if size != count * dtype.itemsize:
            raise InvalidTensor(
                f"found {size} bytes of tensor_content; allowed: {count * dtype.itemsize}, "
                f"{name} of shape {list(shape)}"
            )
        return np.frombuffer(proto.tensor_content, dtype).reshape(shape)
    values = _values(getattr(proto, field), dtype)
    if len(values) > count or (len(values) < count and count > MAX_REPEATED):
        raise InvalidTensor(
            f"found {len(values)} values in {field}; allowed: {count}, {name} of shape "
            f"{list(shape)}"
        )
    if len(values) < count:
        zero = b"" if dtype == STRING else dtype.type(0)
        filled = np.full(count, values[-1] if len(values) else zero, dtype)
        filled[: len(values)] = values
        values = filled
    return values.reshape(shape)


def _values(field: Any, dtype: np.dtype) -> np.ndarray:
    """Returns the values of a `*_val` field as an array of one dimension."""
    if dtype == STRING:
        strings = np.empty(len(field), object)
        strings[:] = list(field)
        return strings
    if dtype.kind == "c":
        parts = np.array(field, dtype.type(0).real.dtype)
        if len(parts) % 2:
            raise InvalidTensor(f"found {len(parts)} parts of complex numbers; allowed: pairs")
        return parts.view(dtype)
    held = np.array(field, np.int32) if dtype in (BFLOAT16, np.float16) else np.array(field)
    narrow = np.dtype(np.uint16) if dtype in (BFLOAT16, np.float16) else dtype
    if held.dtype.kind == "i" and narrow.kind in "iu" and len(held):
        limits = np.iinfo(narrow)
        if int(held.min()) < limits.min or int(held.max()) > limits.max:
            raise InvalidTensor(f"found a value out of the range of {dtype.name}")
    return held.astype(narrow).view(dtype)
