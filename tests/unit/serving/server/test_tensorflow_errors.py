"""Whatever TensorFlow raises has the code that TF Serving answers with."""

import pytest
import tensorflow as tf
from grpc import StatusCode

from serving.server.errors import ServingError
from serving.server.tensorflow_errors import as_serving_error


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (tf.errors.InvalidArgumentError, StatusCode.INVALID_ARGUMENT),
        (tf.errors.NotFoundError, StatusCode.NOT_FOUND),
        (tf.errors.FailedPreconditionError, StatusCode.FAILED_PRECONDITION),
        (tf.errors.OutOfRangeError, StatusCode.OUT_OF_RANGE),
        (tf.errors.ResourceExhaustedError, StatusCode.RESOURCE_EXHAUSTED),
        (tf.errors.UnimplementedError, StatusCode.UNIMPLEMENTED),
        (tf.errors.DataLossError, StatusCode.DATA_LOSS),
        (tf.errors.AbortedError, StatusCode.ABORTED),
    ],
)
def test_as_serving_error_when_tensorflow_has_a_code_then_keeps_it_and_the_message(kind, code):
    error = as_serving_error(kind(None, None, "Graph execution error:\n\nit went wrong"))
    assert (error.code, error.message) == (code, "it went wrong")


@pytest.mark.parametrize(
    ("raised", "code", "message"),
    [
        (ValueError("odd"), StatusCode.INVALID_ARGUMENT, "odd"),
        (TypeError("odd"), StatusCode.INVALID_ARGUMENT, "odd"),
        (MemoryError(), StatusCode.RESOURCE_EXHAUSTED, "out of memory"),
        (KeyError("odd"), StatusCode.INTERNAL, "KeyError: 'odd'"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_as_serving_error_when_it_has_no_code_then_is_the_nearest(raised, code, message):
    error = as_serving_error(raised)
    assert (error.code, error.message) == (code, message)


def test_as_serving_error_when_the_message_quotes_bytes_then_they_are_shown():
    with pytest.raises(UnicodeDecodeError) as raised:
        b"Could not parse example input, value: '\xff'".decode()
    error = as_serving_error(raised.value)
    assert error.code is StatusCode.INVALID_ARGUMENT
    assert error.message == r"Could not parse example input, value: '\xff'"


def test_as_serving_error_when_it_is_one_then_is_returned_as_it_is():
    error = ServingError(StatusCode.ABORTED, "enough")
    assert as_serving_error(error) is error
