"""Asking again, with exponential backoff and jitter, until an overall deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import tenacity
from grpc import StatusCode

from serving.client.errors import ServingClientError

T = TypeVar("T")

_CLOCK_SLACK = 0.01
"""Seconds that two clocks may differ by: gRPC ends a call by one of its own."""


class Deadline:
    """A moment by which an answer is wanted, however often the server is asked."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def is_over(self) -> bool:
        """Whether the time is up, or as good as that: an attempt's own clock may run ahead."""
        return self._end - time.monotonic() < _CLOCK_SLACK

    def remaining(self) -> float:
        """Returns the seconds that are left.

        Raises:
            ServingClientError: DEADLINE_EXCEEDED, if none are.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise self.exceeded()
        return left

    def exceeded(self) -> ServingClientError:
        return ServingClientError(
            StatusCode.DEADLINE_EXCEEDED, f"no answer within {self.seconds:g} s"
        )


@dataclass(frozen=True)
class RetryPolicy:
    """When to ask again; names and meaning as in gRPC's service config.

    The wait before the n-th retry is random, up to `initial_backoff * backoff_multiplier ** n`
    ("full jitter"), so that clients that failed together do not come back together.

    Attributes:
        max_attempts: the first one counted; None for as many as the deadline has time for.
        initial_backoff, max_backoff: seconds.
    """

    max_attempts: int | None = 5
    initial_backoff: float = 0.1
    max_backoff: float = 5.0
    backoff_multiplier: float = 2.0

    def call(self, attempt: Callable[[Deadline], T], deadline: Deadline) -> T:
        """Returns what an attempt returns, the first that does not fail by a transient error.

        Raises:
            ServingClientError: of the last attempt, once there is none left, or no time to wait
                for the next; if that one was cut short by the deadline, of the one before it,
                which says more.
        """
        heard: list[ServingClientError] = []

        def attempt_once() -> T:
            try:
                return attempt(deadline)
            except ServingClientError as error:
                # One that comes while there is time is the server's own, and final.
                is_cut_short = error.code == StatusCode.DEADLINE_EXCEEDED and deadline.is_over
                if is_cut_short and heard:
                    raise heard[-1] from error
                heard.append(error)
                raise

        stops: list[tenacity.stop.stop_base] = [tenacity.stop_before_delay(deadline.remaining())]
        if self.max_attempts is not None:
            stops.append(tenacity.stop_after_attempt(self.max_attempts))
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_transient),
            wait=self._wait,
            stop=tenacity.stop_any(*stops),
            reraise=True,
        )
        return retrying(attempt_once)

    def _wait(self, state: tenacity.RetryCallState) -> float:
        backoff = tenacity.wait_random_exponential(
            multiplier=self.initial_backoff, max=self.max_backoff, exp_base=self.backoff_multiplier
        )(state)
        error = state.outcome.exception() if state.outcome else None
        return max(backoff, getattr(error, "retry_after", None) or 0.0)


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, ServingClientError) and error.is_transient
