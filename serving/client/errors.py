"""What a request ends with if not with an answer: one exception, whatever the protocol."""

from __future__ import annotations

from grpc import StatusCode

_CODES = {
    400: StatusCode.INVALID_ARGUMENT,
    401: StatusCode.UNAUTHENTICATED,
    403: StatusCode.PERMISSION_DENIED,
    404: StatusCode.NOT_FOUND,
    408: StatusCode.DEADLINE_EXCEEDED,
    409: StatusCode.ABORTED,
    413: StatusCode.INVALID_ARGUMENT,
    429: StatusCode.RESOURCE_EXHAUSTED,
    499: StatusCode.CANCELLED,
    500: StatusCode.INTERNAL,
    501: StatusCode.UNIMPLEMENTED,
    502: StatusCode.UNAVAILABLE,
    503: StatusCode.UNAVAILABLE,
    504: StatusCode.DEADLINE_EXCEEDED,
}

_TRANSIENT = (StatusCode.UNAVAILABLE, StatusCode.RESOURCE_EXHAUSTED)


class ServingClientError(Exception):
    """A request that got no answer.

    Attributes:
        code: canonical code; of an HTTP status, the likeliest that it stands for.
        message: the server's words, or what kept it from being asked.
        is_transient: whether the same request may well be answered a moment later. Inference
            changes nothing on the server, so asking again is always safe.
        retry_after: seconds that the server asks to wait before that, if it does.
    """

    def __init__(
        self,
        code: StatusCode,
        message: str,
        *,
        is_transient: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.is_transient = code in _TRANSIENT if is_transient is None else is_transient
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"


def invalid_argument(message: str) -> ServingClientError:
    """Returns the error of a request that no server could answer."""
    return ServingClientError(StatusCode.INVALID_ARGUMENT, message)


def code_of(http_status: int) -> StatusCode:
    """Returns the canonical code that an HTTP status stands for."""
    return _CODES.get(http_status, StatusCode.UNKNOWN)
