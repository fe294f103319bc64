"""Tensors of gRPC requests and answers.

Answers go out in the typed fields, as TF Serving sends them. Most of them are floats, whose packed
field is the array's own bytes: those are written straight to the wire, which takes a quarter of
the time of making messages for them. The encoding is protobuf's own
(https://protobuf.dev/programming-guides/encoding/).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from grpc import StatusCode
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import predict_pb2

from serving import tensor_protos
from serving.server.errors import ServingError, invalid_argument
from serving.tensor_protos import DTYPE_NUMBERS

_LARGEST_MESSAGE = 2**31 - 1

_KEY, _VALUE, _OUTPUT = b"\x0a", b"\x12", b"\x0a"
"""Tags of a map's entry, and of the map `outputs` in PredictResponse."""

_PACKED = {
    np.dtype(name): tag
    for name, tag in (
        ("<f4", b"\x2a"), ("<f8", b"\x32"), ("?", b"\x5a"), ("<c8", b"\x4a"), ("<c16", b"\x62"),
    )
}  # fmt: skip
"""Tag of the packed field whose values are the array's bytes."""


def dtype_name(data_type: int) -> str:
    """Returns TensorFlow's name of a DataType, such as float, int64 or string."""
    known = data_type in types_pb2.DataType.values()
    return types_pb2.DataType.Name(data_type)[3:].lower() if known else f"type {data_type}"


def to_array(tensor: Any, alias: str) -> np.ndarray:
    """Returns the values of a TensorProto, see `serving.tensor_protos.to_array`.

    Args:
        alias: the input's name, for the message of an error.

    Raises:
        ServingError: INVALID_ARGUMENT if type, shape and content do not make a tensor.
    """
    try:
        return tensor_protos.to_array(tensor)
    except tensor_protos.InvalidTensor as error:
        raise invalid_argument(f"tensor parsing error: {alias}: {error}") from error


def encode_response(
    model: str, version: int, signature: str, outputs: Mapping[str, np.ndarray]
) -> bytes:
    """Returns a serialized PredictResponse.

    Raises:
        ServingError: RESOURCE_EXHAUSTED if it is larger than a message may be.
        KeyError: for an output of a dtype that is not of `serving.tensor_protos.DTYPES`.
    """
    parts = [_encoded_spec(model, version, signature)]
    for alias, array in outputs.items():
        name, tensor = alias.encode(), encode_tensor(array)
        entry = _KEY + _varint(len(name)) + name + _VALUE + _varint(len(tensor))
        parts += (_OUTPUT, _varint(len(entry) + len(tensor)), entry, tensor)
    if sum(map(len, parts)) > _LARGEST_MESSAGE:
        raise ServingError(
            StatusCode.RESOURCE_EXHAUSTED, "the answer is larger than the 2 GiB of a message"
        )
    return b"".join(parts)


def encode_tensor(array: np.ndarray) -> bytes:
    """Returns a serialized TensorProto, its values in the typed field.

    Raises:
        KeyError: for an array of another dtype than those of `serving.tensor_protos.DTYPES`.
    """
    tag = _PACKED.get(array.dtype)
    if tag is None:
        return _message(array).SerializeToString()
    data = array.tobytes()
    return _head(array.dtype, array.shape) + tag + _varint(len(data)) + data


def _message(array: np.ndarray) -> tensor_pb2.TensorProto:
    tensor = tensor_pb2.TensorProto()
    is_text = array.dtype.kind in "OSU"
    number = types_pb2.DT_STRING if is_text else DTYPE_NUMBERS[array.dtype]
    tensor_protos.fill_head(tensor, number, array.shape)
    values = array.ravel()
    if is_text:
        tensor.string_val.extend(map(_as_bytes, values.tolist()))
    elif number in (types_pb2.DT_HALF, types_pb2.DT_BFLOAT16):
        tensor.half_val.extend(values.view(np.uint16).tolist())
    else:
        wide = {"uint32": tensor.uint32_val, "uint64": tensor.uint64_val, "int64": tensor.int64_val}
        wide.get(array.dtype.name, tensor.int_val).extend(values.tolist())
    return tensor


@lru_cache(256)
def _head(dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    """Returns the start of a serialized TensorProto: all but its values."""
    tensor = tensor_pb2.TensorProto()
    tensor_protos.fill_head(tensor, DTYPE_NUMBERS[dtype], shape)
    return tensor.SerializeToString()


@lru_cache(256)
def _encoded_spec(model: str, version: int, signature: str) -> bytes:
    """Returns a serialized PredictResponse that has no outputs yet."""
    response = predict_pb2.PredictResponse()
    response.model_spec.name = model
    response.model_spec.version.value = version
    response.model_spec.signature_name = signature
    return response.SerializeToString()


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
