import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
from grpc import StatusCode
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import predict_pb2

from serving.server import tensors
from serving.server.errors import ServingError
from serving.server.tensors import encode_response, encode_tensor, to_array

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


@pytest.mark.parametrize("name", ARRAYS)
def test_tensor_when_encoded_then_tensorflow_reads_the_same_from_the_typed_field(name):
    tensor = tensor_pb2.TensorProto.FromString(encode_tensor(ARRAYS[name]))
    assert tensor.tensor_content == b""
    same(np.asarray(tf.make_ndarray(tensor)), ARRAYS[name])
    same(to_array(tensor, "x"), ARRAYS[name])


def test_tensor_when_it_is_a_view_of_a_batch_then_its_own_rows_are_encoded():
    batch = np.arange(24, dtype=np.float32).reshape(4, 6)
    for view in (batch[1:3], batch[:, ::2], batch.T):
        found = tf.make_ndarray(tensor_pb2.TensorProto.FromString(encode_tensor(view)))
        same(found, view)


def test_tensor_when_it_is_of_no_type_of_tensorflow_then_is_an_error():
    with pytest.raises(KeyError):
        encode_tensor(np.array(["2020-01-01"], "datetime64[D]"))


def test_response_when_encoded_then_is_the_one_that_protobuf_makes():
    outputs = {"scores": ARRAYS["float"], "names": ARRAYS["string"], "größe": np.zeros(300)}
    found = predict_pb2.PredictResponse.FromString(encode_response("flowers", 7, "top", outputs))
    expected = predict_pb2.PredictResponse()
    expected.model_spec.name = "flowers"
    expected.model_spec.version.value = 7
    expected.model_spec.signature_name = "top"
    for alias, array in outputs.items():
        tensor = tensor_pb2.TensorProto.FromString(encode_tensor(array))
        expected.outputs[alias].CopyFrom(tensor)
    # As bytes: NaN is not equal to itself.
    texts = [one.SerializeToString(deterministic=True) for one in (found, expected)]
    assert texts[0] == texts[1]


def test_response_when_it_is_larger_than_a_message_then_is_refused(monkeypatch):
    monkeypatch.setattr(tensors, "_LARGEST_MESSAGE", 50)
    with pytest.raises(ServingError, match="larger than the 2 GiB") as caught:
        encode_response("flowers", 7, "top", {"scores": np.zeros(30)})
    assert caught.value.code is StatusCode.RESOURCE_EXHAUSTED


def test_tensor_when_it_makes_none_then_is_an_invalid_argument_that_names_the_input():
    tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_RESOURCE)
    with pytest.raises(ServingError, match="tensor parsing error: x: found type 20") as caught:
        to_array(tensor, "x")
    assert caught.value.code is StatusCode.INVALID_ARGUMENT
