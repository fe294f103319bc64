"""Errors of TensorFlow by the canonical code that TF Serving would answer with."""

from __future__ import annotations

from grpc import StatusCode

from serving.server.errors import ServingError, invalid_argument

_BY_NUMBER = {code.value[0]: code for code in StatusCode}
_PREAMBLE = "Graph execution error:\n\n"
"""What TensorFlow's Python puts before the message of an op that failed."""


def as_serving_error(error: BaseException) -> ServingError:
    """Returns the error with its code: TensorFlow's own, or the one that comes nearest."""
    if isinstance(error, ServingError):
        return error
    number = getattr(error, "error_code", None)  # tf.errors.OpError, whatever was imported
    if isinstance(number, int) and number in _BY_NUMBER:
        message = getattr(error, "message", None) or str(error)
        return ServingError(_BY_NUMBER[number], message.removeprefix(_PREAMBLE))
    if isinstance(error, UnicodeDecodeError):
        # The message quotes an input that is no text, such as a tf.Example that is none.
        return invalid_argument(error.object.decode(errors="backslashreplace"))
    if isinstance(error, (ValueError, TypeError)):
        return invalid_argument(str(error))
    if isinstance(error, MemoryError):
        return ServingError(StatusCode.RESOURCE_EXHAUSTED, "out of memory")
    return ServingError(StatusCode.INTERNAL, f"{type(error).__name__}: {error}")
