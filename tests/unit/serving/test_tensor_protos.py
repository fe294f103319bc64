"""TensorProto and NumPy: what TensorFlow writes is read, what we write TensorFlow reads."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip
from tensorflow.core.framework import tensor_pb2  # isort: skip

from serving.array_values import STRING, as_array
from serving.client.api import MESSAGES
from serving.tensor_protos import (
    DTYPE_NAMES,
    MAX_FILLED_BYTES,
    InvalidTensor,
    fill_proto,
    to_array,
)

TensorProto = MESSAGES["TensorProto"]
NUMBERS = [
    np.array(array, dtype)
    for dtype in (
        np.float32, np.float64, np.float16, ml_dtypes.bfloat16, np.int8, np.int16, np.int32,
        np.int64, np.uint8, np.uint16, np.uint32, np.uint64, np.bool_, np.complex64, np.complex128,
    )
    for array in ([[0, 1, 3]], 1, np.zeros([0, 2]))
]  # fmt: skip
EXTREMES = [
    np.array([np.nan, np.inf, -np.inf, -0.0], np.float32),
    np.array([2**63 - 1, -(2**63)]),
    np.array([2**64 - 1], np.uint64),
    np.array([1 + 2j], np.complex64),
    np.array([-1.5], np.float16),
    np.array([[b"\0", b"a\0\0"], [b"", "ö".encode()]], object),
]
ARRAYS = [
    pytest.param(array, id=f"{array.dtype}-{index}")
    for index, array in enumerate(NUMBERS + EXTREMES)
]


@pytest.mark.parametrize("array", ARRAYS)
def test_tensor_when_we_write_it_then_tensorflow_reads_it(array) -> None:
    proto = TensorProto()
    fill_proto(proto, array)
    theirs = tf.make_ndarray(tensor_pb2.TensorProto.FromString(proto.SerializeToString()))
    assert (theirs.dtype, theirs.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(theirs, array)


@pytest.mark.parametrize("array", ARRAYS)
def test_tensor_when_tensorflow_writes_it_then_we_read_it(array) -> None:
    proto = TensorProto.FromString(tf.make_tensor_proto(array).SerializeToString())
    ours = to_array(proto)
    assert (ours.dtype, ours.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(ours, array)


@pytest.mark.parametrize("array", ARRAYS)
def test_tensor_when_tensorflow_writes_values_one_by_one_then_we_read_it(array) -> None:
    """The form of TF Serving's answers."""
    theirs = tf.make_tensor_proto(array.tolist(), dtype=tf.as_dtype(array.dtype), shape=array.shape)
    ours = to_array(TensorProto.FromString(theirs.SerializeToString()))
    assert (ours.dtype, ours.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(ours, array)


@pytest.mark.parametrize(
    "array",
    [
        np.array([[1.5, np.nan]], np.float32),
        np.array([-(2**63)]),
        np.array([1.5], np.float16),
        np.array([[b"a\0", b""]], object),
    ],
    ids=lambda array: array.dtype.name,
)
def test_tensor_when_its_content_is_bytes_then_we_read_it(array) -> None:
    number = tf.as_dtype(array.dtype).as_datatype_enum
    content = array.tobytes()
    if array.dtype == STRING:
        values = array.ravel().tolist()
        content = bytes(map(len, values)) + b"".join(values)
    ours = to_array(tensor(list(array.shape), dtype=number, tensor_content=content))
    assert (ours.dtype, ours.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(ours, array)


def tensor(shape: list[int], **fields) -> TensorProto:
    proto = TensorProto(**fields)
    proto.tensor_shape.SetInParent()
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


@pytest.mark.parametrize(
    ("proto", "expected"),
    [
        (tensor([4], dtype=1, float_val=[1, 2]), [1, 2, 2, 2]),
        (tensor([2], dtype=1), [0, 0]),
        (tensor([2], dtype=1, float_val=[1, 2, 3]), [1, 2]),
        (tensor([2], dtype=7, string_val=[b"a"]), [b"a", b"a"]),
        (tensor([2], dtype=7), [b"", b""]),
        (tensor([2], dtype=8, scomplex_val=[1, 2]), [1 + 2j, 1 + 2j]),
        (tensor([2], dtype=10, tensor_content=b"\x00\x07"), [False, True]),
    ],
    ids=["last", "none", "too many", "last string", "no string", "last complex", "any true byte"],
)
def test_tensor_when_values_are_fewer_or_more_then_by_tensorflows_rule(proto, expected) -> None:
    assert to_array(proto).tolist() == expected


UNKNOWN = "found a shape that is not known"
STRINGS = "does not hold the strings"


@pytest.mark.parametrize(
    ("proto", "error"),
    [
        pytest.param(tensor([1]), "found type 0; allowed: DT_FLOAT", id="no type"),
        pytest.param(tensor([1], dtype=20), "found type 20", id="resource"),
        pytest.param(tensor([1], dtype=101, float_val=[1]), "found type 101", id="reference"),
        pytest.param(tensor([1], dtype=12345), "found type 12345", id="unknown type"),
        pytest.param(tensor([-1], dtype=1), UNKNOWN, id="unknown size"),
        pytest.param(TensorProto(dtype=1, tensor_shape={"unknown_rank": True}), UNKNOWN, id="none"),
        pytest.param(tensor([1] * 40, dtype=1, float_val=[1]), "found rank 40", id="rank"),
        pytest.param(
            tensor([2], dtype=1, tensor_content=b"123"),
            r"found 3 bytes of tensor_content; allowed: 8, DT_FLOAT of shape \[2\]",
            id="cut content",
        ),
        pytest.param(tensor([2], dtype=1, tensor_content=b"1" * 12), "found 12 bytes", id="long"),
        pytest.param(tensor([2**40] * 2, dtype=1), "what memory could", id="overflowing size"),
        pytest.param(tensor([0, 2**62], dtype=1), "what memory could", id="nothing of much"),
        pytest.param(
            tensor([MAX_FILLED_BYTES], dtype=1, float_val=[1]), "found 1 values", id="memory bomb"
        ),
        pytest.param(tensor([2**31], dtype=7, string_val=[b"a"]), "found 1 values", id="strings"),
        pytest.param(tensor([1], dtype=6, int_val=[300]), "out of the range of DT_INT8", id="int8"),
        pytest.param(tensor([1], dtype=19, half_val=[-1]), "out of the range", id="half"),
        pytest.param(tensor([1], dtype=8, scomplex_val=[1]), "allowed: pairs", id="half a number"),
        pytest.param(tensor([2], dtype=7, tensor_content=b"\1\1a"), STRINGS, id="strings, short"),
        pytest.param(tensor([1], dtype=7, tensor_content=b"\xff" * 20), STRINGS, id="no end"),
        pytest.param(tensor([1], dtype=7, tensor_content=b"\x81"), STRINGS, id="length cut off"),
        pytest.param(tensor([2**40], dtype=7, tensor_content=b"\0"), STRINGS, id="more than bytes"),
    ],
)
def test_tensor_when_its_parts_disagree_then_refused(proto, error) -> None:
    with pytest.raises(InvalidTensor, match=error):
        to_array(proto)


def test_tensor_when_numpy_has_text_then_it_goes_as_utf8() -> None:
    proto = TensorProto()
    fill_proto(proto, np.array(["ö", "b"]))
    assert list(proto.string_val) == ["ö".encode(), b"b"]


def test_tensor_when_bytes_are_in_another_order_then_written_in_ours() -> None:
    proto = TensorProto()
    fill_proto(proto, np.array([1, 2], ">i4"))
    assert to_array(proto).tolist() == [1, 2]


@pytest.mark.parametrize(
    "array",
    [np.array(["2020-01-01"], "datetime64[D]"), np.array([None]), np.array([1, "a"], object)],
)
def test_tensor_when_it_is_of_no_type_of_tensorflow_then_refused(array) -> None:
    with pytest.raises(TypeError, match=r"found .*; allowed: "):
        fill_proto(TensorProto(), array)


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        ([1, 2], "DT_FLOAT", [1.0, 2.0]),
        ([0.1], "DT_FLOAT", [np.float32(0.1)]),
        ([np.nan, np.inf], "DT_FLOAT", [np.nan, np.inf]),
        ([2**53 + 1], "DT_INT64", [2**53 + 1]),
        ([True], "DT_BOOL", [True]),
        ([], "DT_INT64", []),
        (["ö", b"\0\0"], "DT_STRING", ["ö".encode(), b"\0\0"]),
        (np.array(["ab"]), "DT_STRING", [b"ab"]),
    ],
)
def test_value_when_it_fits_then_an_array_of_the_type(value, dtype, expected) -> None:
    array = as_array(value, DTYPE_NAMES[dtype])
    assert array.dtype == DTYPE_NAMES[dtype]
    np.testing.assert_array_equal(array, np.array(expected, array.dtype))


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ([1.7], "DT_INT64"),
        ([None], "DT_FLOAT"),
        (["1"], "DT_FLOAT"),
        ([True], "DT_FLOAT"),
        ([1], "DT_BOOL"),
        ([1e300], "DT_FLOAT"),
        ([300], "DT_INT8"),
        ([-1], "DT_UINT64"),
        ([[1], [1, 2]], "DT_FLOAT"),
        ([1], "DT_STRING"),
        ([["a"], ["a", "b"]], "DT_STRING"),
    ],
)
def test_value_when_it_would_change_then_refused(value, dtype) -> None:
    with pytest.raises((ValueError, TypeError, OverflowError)):
        as_array(value, DTYPE_NAMES[dtype])


def test_value_of_text_when_made_an_array_then_the_callers_is_left_alone() -> None:
    given = np.array(["a"], object)
    as_array(given, STRING)
    assert given.tolist() == ["a"]


def test_value_when_integers_are_large_and_small_then_each_is_kept() -> None:
    assert as_array([[2**64 - 1], [1]], np.dtype(np.uint64)).tolist() == [[2**64 - 1], [1]]
