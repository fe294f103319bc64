"""A limit on the requests in flight: more are turned away at once, while there is memory."""

from __future__ import annotations

from grpc import StatusCode

from serving.server.errors import ServingError


class Admission:
    """Counts what one process has begun and not answered, over REST and gRPC together.

        with admission:
            answer = await predict(...)

    Raises:
        ServingError: on entering, UNAVAILABLE if `limit` requests are in flight.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.in_flight = 0

    def __enter__(self) -> None:
        if self.in_flight >= self.limit:
            raise ServingError(
                StatusCode.UNAVAILABLE, f"{self.limit} requests are in flight already; try again"
            )
        self.in_flight += 1

    def __exit__(self, *_: object) -> None:
        self.in_flight -= 1
