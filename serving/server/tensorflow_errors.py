"""Errors of TensorFlow by the canonical code that TF Serving would answer with."""

from __future__ import annotations

from grpc import StatusCode

from serving.server.errors import ServingError

_BY_NUMBER = {code.value[0]: code for code in StatusCode}


def as_serving_error(error: BaseException) -> ServingError:
    """Returns the error with its code: TensorFlow's own, or the one that comes nearest."""
    if isinstance(error, ServingError):
        return error
    number = getattr(error, "error_code", None)  # tf.errors.OpError, whatever was imported
    if isinstance(number, int) and number in _BY_NUMBER:
        return ServingError(_BY_NUMBER[number], getattr(error, "message", None) or str(error))
    if isinstance(error, (ValueError, TypeError)):
        return ServingError(StatusCode.INVALID_ARGUMENT, f"{error}")
    if isinstance(error, MemoryError):
        return ServingError(StatusCode.RESOURCE_EXHAUSTED, "out of memory")
    return ServingError(StatusCode.INTERNAL, f"{type(error).__name__}: {error}")
