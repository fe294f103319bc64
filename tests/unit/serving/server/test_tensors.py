import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
from grpc import StatusCode
from tensorflow.core.framework import tensor_pb2, types_pb2

from serving.server.errors import ServingError
from serving.server.tensors import MAX_FILLED_BYTES, fill_proto, to_array

ARRAYS = {
    "float": np.array([[1.5, np.nan], [-np.inf, 0.1]], np.float32),
    "double": np.array([0.1, -1e300]),
    "int32": np.array([-(2**31), 2**31 - 1], np.int32),
    "int16": np.array([-(2**15)], np.int16),
    "int8": np.array([-128, 127], np.int8),
    "uint8": np.array([255], np.uint8),
    "uint16": np.array([65535], np.uint16),
    "uint32": np.array([2**32 - 1], np.uint32),
    "uint64": np.array([2**64 - 1], np.uint64),
    "int64": np.array([-(2**63), 2**63 - 1]),
    "bool": np.array([True, False]),
    "string": np.array([[b"a\x00b", b""], [b"\xff", b"xyz\x00"]], object),
    "half": np.array([1.5, -65504], np.float16),
    "bfloat16": np.array([1.5, -3e38], ml_dtypes.bfloat16),
    "complex64": np.array([1 - 2j, 3j], np.complex64),
    "complex128": np.array([1 - 2j]),
    "scalar": np.array(2.5, np.float32),
    "empty": np.zeros((0, 3), np.float32),
    "no strings": np.zeros((2, 0), object),
}


def same(found, expected):
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    if expected.dtype == object:
        assert found.tolist() == expected.tolist()
    else:
        assert found.tobytes() == expected.tobytes()


def refused(tensor):
    with pytest.raises(ServingError, match="tensor parsing error: x") as caught:
        to_array(tensor, "x")
    assert caught.value.code is StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_when_written_then_tensorflow_reads_the_same(name):
    tensor = tensor_pb2.TensorProto()
    fill_proto(ARRAYS[name], tensor)
    assert tensor.tensor_content == b""
    same(np.asarray(tf.make_ndarray(tensor)), ARRAYS[name])
    same(to_array(tensor, "x"), ARRAYS[name])


@pytest.mark.parametrize("name", ARRAYS)
def test_a_tensor_of_tensorflow_when_read_then_is_the_same(name):
    same(to_array(tf.make_tensor_proto(ARRAYS[name]), "x"), ARRAYS[name])


@pytest.mark.parametrize("name", ["float", "int64", "half", "complex64", "string"])
def test_content_when_sent_as_bytes_then_is_the_same(name):
    array = ARRAYS[name]
    tensor = tensor_pb2.TensorProto(dtype=tf.as_dtype(array.dtype).as_datatype_enum)
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    if array.dtype == object:
        values = array.ravel().tolist()
        tensor.tensor_content = bytes(map(len, values)) + b"".join(values)
    else:
        tensor.tensor_content = array.tobytes()
    same(to_array(tensor, "x"), array)


def typed(dtype, shape, **fields):
    tensor = tensor_pb2.TensorProto(dtype=dtype, **fields)
    tensor.tensor_shape.SetInParent()
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    return tensor


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (typed(types_pb2.DT_FLOAT, [4], float_val=[1, 2]), [1, 2, 2, 2]),
        (typed(types_pb2.DT_FLOAT, [2], float_val=[]), [0, 0]),
        (typed(types_pb2.DT_FLOAT, [2], float_val=[1, 2, 3]), [1, 2]),
        (typed(types_pb2.DT_STRING, [2], string_val=[b"a"]), [b"a", b"a"]),
        (typed(types_pb2.DT_STRING, [2], string_val=[]), [b"", b""]),
        (typed(types_pb2.DT_COMPLEX64, [2], scomplex_val=[1, 2]), [1 + 2j, 1 + 2j]),
        (typed(types_pb2.DT_BOOL, [2], tensor_content=b"\x00\x07"), [False, True]),
    ],
    ids=["last", "none", "too many", "last string", "no string", "last complex", "any true byte"],
)
def test_values_when_fewer_or_more_than_the_shape_then_go_by_tensorflows_rule(tensor, expected):
    assert to_array(tensor, "x").tolist() == expected


@pytest.mark.parametrize(
    "tensor",
    [
        typed(types_pb2.DT_FLOAT, [-1], float_val=[1]),
        typed(types_pb2.DT_FLOAT, [2], tensor_content=b"1234567"),
        typed(types_pb2.DT_FLOAT, [2], tensor_content=b"123456789abc"),
        typed(types_pb2.DT_FLOAT, [2**40, 2**40], tensor_content=b"1234"),
        typed(types_pb2.DT_FLOAT, [0, 2**62]),
        typed(types_pb2.DT_FLOAT, [MAX_FILLED_BYTES], float_val=[1]),
        typed(types_pb2.DT_STRING, [2**31], string_val=[b"a"]),
        typed(types_pb2.DT_FLOAT, [1] * 40, float_val=[1]),
        typed(types_pb2.DT_INVALID, [1]),
        typed(types_pb2.DT_RESOURCE, [1]),
        typed(types_pb2.DT_FLOAT_REF, [1], float_val=[1]),
        typed(12345, [1]),
        typed(types_pb2.DT_INT8, [1], int_val=[300]),
        typed(types_pb2.DT_HALF, [1], half_val=[-1]),
        typed(types_pb2.DT_COMPLEX64, [1], scomplex_val=[1]),
        typed(types_pb2.DT_STRING, [2], tensor_content=b"\x01\x01a"),
        typed(types_pb2.DT_STRING, [1], tensor_content=b"\xff" * 20),
        typed(types_pb2.DT_STRING, [1], tensor_content=b"\x81"),
        typed(types_pb2.DT_STRING, [2**40], tensor_content=b"\x00"),
    ],
    ids=[
        "negative size",
        "content too short",
        "content too long",
        "sizes that overflow",
        "no elements of a huge shape",
        "huge from one value",
        "huge from one string",
        "rank",
        "no type",
        "resource",
        "reference",
        "unknown type",
        "int8 out of range",
        "half out of range",
        "half a complex number",
        "strings too short",
        "endless length",
        "length cut off",
        "more strings than bytes",
    ],
)
def test_a_tensor_when_it_makes_none_then_is_refused(tensor):
    refused(tensor)


def test_a_shape_when_of_unknown_rank_then_is_refused():
    tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, float_val=[1])
    tensor.tensor_shape.unknown_rank = True
    refused(tensor)
