"""Limits on the requests in flight: more are turned away at once, while there is memory."""

from __future__ import annotations

from grpc import StatusCode

from serving.server.errors import ServingError


class Admission:
    """Counts what one process has begun and not answered, over REST and gRPC together.

        with admission.request() as admitted:
            admitted.add(len(body))
            answer = await predict(...)

    Args:
        limit: requests.
        max_bytes: of them together, as they came; a request that is alone may have more.
    """

    def __init__(self, limit: int, max_bytes: int = 256 << 20) -> None:
        self.limit = limit
        self.max_bytes = max_bytes
        self.in_flight = 0
        self.bytes_in_flight = 0

    def request(self) -> Admitted:
        """Returns the place of one request, to be entered."""
        return Admitted(self)


class Admitted:
    """A request that is being answered.

    Raises:
        ServingError: on entering, UNAVAILABLE if as many requests as may be are in flight.
    """

    __slots__ = ("_admission", "_bytes")

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._bytes = 0

    def __enter__(self) -> Admitted:
        admission = self._admission
        if admission.in_flight >= admission.limit:
            raise ServingError(
                StatusCode.UNAVAILABLE, f"{admission.limit} requests are in flight; try again"
            )
        admission.in_flight += 1
        return self

    def add(self, size: int) -> None:
        """Takes `size` bytes more, until the request is answered.

        Raises:
            ServingError: UNAVAILABLE if they would be too many together with the others'.
        """
        admission = self._admission
        others = admission.bytes_in_flight - self._bytes
        if others and admission.bytes_in_flight + size > admission.max_bytes:
            raise ServingError(
                StatusCode.UNAVAILABLE,
                f"requests of {admission.max_bytes} bytes are in flight; try again",
            )
        admission.bytes_in_flight += size
        self._bytes += size

    def __exit__(self, *_: object) -> None:
        self._admission.in_flight -= 1
        self._admission.bytes_in_flight -= self._bytes
        self._bytes = 0
