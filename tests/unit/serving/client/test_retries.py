"""A request survives what passes, reports at once what does not, and ends by its deadline."""

from __future__ import annotations

import time

import pytest
from grpc import StatusCode

from serving.client import RetryPolicy, ServingClientError
from serving.client.retries import Deadline


def failing(client, **options) -> ServingClientError:
    with pytest.raises(ServingClientError) as caught:
        client.status(**options)
    return caught.value


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED"])
def test_request_when_the_server_is_overloaded_for_a_while_then_answered(
    client, model, fault, code
) -> None:
    model.faults = [fault(code), fault(code), fault(code)]
    assert client.status()[0].version == 2
    assert len(model.asked) == 4


def test_request_when_the_connection_breaks_then_asked_again(client, model) -> None:
    client.status()
    model.faults = ["reset", "reset"]
    answers = client.predict({"x": [[1, 2]]}, signature="one")
    assert answers["only"].tolist() == [3.0]


def test_request_when_the_server_comes_up_late_then_the_same_client_reaches_it(
    start, connected, closed_port
) -> None:
    client = connected(closed_port, retry=RetryPolicy(max_attempts=1))
    error = failing(client)
    assert error.code is StatusCode.UNAVAILABLE
    assert f"127.0.0.1:{closed_port}" in error.message

    start(port=closed_port)

    assert client.wait_until_available(timeout=30).version == 1


@pytest.mark.parametrize("code", ["INVALID_ARGUMENT", "NOT_FOUND", "INTERNAL", "PERMISSION_DENIED"])
def test_request_when_the_failure_would_stay_then_not_asked_again(
    client, model, fault, code
) -> None:
    model.faults = [fault(code, "the server's words")]
    error = failing(client)
    assert (error.code, error.message) == (StatusCode[code], "the server's words")
    assert len(model.asked) == 1


@pytest.mark.parametrize("protocol", ["grpc"], indirect=True)
def test_request_when_it_is_too_large_for_the_server_then_not_asked_again(
    client, model, fault
) -> None:
    model.faults = [fault("RESOURCE_EXHAUSTED", "Received message larger than max (9 vs. 4)")]
    assert failing(client).code is StatusCode.RESOURCE_EXHAUSTED
    assert len(model.asked) == 1


def test_request_when_the_server_stays_away_then_ends_by_the_deadline(
    make_client, model, fault
) -> None:
    model.faults = [fault("UNAVAILABLE", "queue is full")] * 10_000
    error = failing(make_client(timeout=0.5))
    assert error.code is StatusCode.UNAVAILABLE
    assert "queue is full" in error.message
    assert len(model.asked) > 1


def test_request_when_attempts_are_limited_then_asked_as_often(make_client, model, fault) -> None:
    model.faults = [fault("UNAVAILABLE")] * 10
    failing(make_client(retry=RetryPolicy(max_attempts=3, initial_backoff=0.01)))
    assert len(model.asked) == 3


@pytest.mark.parametrize("fault", ["hang", "drip", "drip headers"])
def test_request_when_no_answer_comes_then_deadline_exceeded(client, model, fault) -> None:
    model.faults = [fault]
    error = failing(client, timeout=0.3)
    assert not model.has_dripped
    assert error.code is StatusCode.DEADLINE_EXCEEDED
    assert len(model.asked) == 1


def test_request_when_the_deadline_has_passed_then_not_sent(client, model) -> None:
    assert failing(client, timeout=0).code is StatusCode.DEADLINE_EXCEEDED
    assert not model.asked


@pytest.mark.parametrize("protocol", ["rest"], indirect=True)
def test_request_when_the_server_wants_more_time_than_there_is_then_given_up_at_once(
    client, model, fault
) -> None:
    model.faults = [fault("UNAVAILABLE", headers={"Retry-After": "3600"})]
    assert failing(client).retry_after == 3600
    assert len(model.asked) == 1


@pytest.fixture
def sleeps(monkeypatch) -> list[float]:
    """The seconds that were slept, without sleeping them; jitter at its longest."""
    slept: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", slept.append)
    monkeypatch.setattr("tenacity.wait.random.uniform", lambda low, high: high)
    return slept


def test_policy_when_failures_go_on_then_waits_grow_up_to_the_longest(sleeps) -> None:
    policy = RetryPolicy(max_attempts=6, initial_backoff=0.5, max_backoff=3.0)

    def attempt(within: Deadline) -> None:
        raise ServingClientError(StatusCode.UNAVAILABLE, "away")

    with pytest.raises(ServingClientError):
        policy.call(attempt, Deadline(1000))
    assert sleeps == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_policy_when_it_waits_then_for_a_random_time(monkeypatch) -> None:
    asked = []
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    monkeypatch.setattr(
        "tenacity.wait.random.uniform", lambda low, high: asked.append((low, high)) or 0.0
    )

    def attempt(within: Deadline) -> None:
        raise ServingClientError(StatusCode.UNAVAILABLE, "away")

    with pytest.raises(ServingClientError):
        RetryPolicy(max_attempts=3, initial_backoff=0.5).call(attempt, Deadline(1000))
    assert asked == [(0, 0.5), (0, 1.0), (0, 2.0)]


def test_policy_when_the_server_asks_to_wait_then_waits_no_less(sleeps) -> None:
    answers = iter([ServingClientError(StatusCode.UNAVAILABLE, "away", retry_after=7.0), None])

    def attempt(within: Deadline) -> str:
        error = next(answers)
        if error:
            raise error
        return "answer"

    assert RetryPolicy().call(attempt, Deadline(1000)) == "answer"
    assert sleeps == [7.0]


def test_policy_when_the_server_ran_out_of_time_then_that_is_not_retried_as_what_came_before(
    sleeps,
) -> None:
    codes = [StatusCode.UNAVAILABLE, StatusCode.DEADLINE_EXCEEDED]

    def attempt(within: Deadline) -> None:
        raise ServingClientError(codes.pop(0), "the server's words")

    with pytest.raises(ServingClientError) as caught:
        RetryPolicy().call(attempt, Deadline(1000))
    assert caught.value.code is StatusCode.DEADLINE_EXCEEDED
    assert len(sleeps) == 1


def test_policy_when_the_deadline_cuts_an_attempt_short_then_says_what_was_heard_before(
    sleeps, monkeypatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("serving.client.retries.time.monotonic", lambda: now[0])
    deadline = Deadline(10)
    errors = [(1, StatusCode.UNAVAILABLE, "queue is full"), (9, StatusCode.DEADLINE_EXCEEDED, "")]

    def attempt(within: Deadline) -> None:
        took, code, message = errors.pop(0)
        now[0] += took
        raise ServingClientError(code, message)

    with pytest.raises(ServingClientError, match="UNAVAILABLE: queue is full"):
        RetryPolicy().call(attempt, deadline)
    assert not errors


def test_policy_when_another_error_comes_then_it_is_not_hidden(sleeps) -> None:
    def attempt(within: Deadline) -> None:
        raise KeyError("a mistake")

    with pytest.raises(KeyError):
        RetryPolicy().call(attempt, Deadline(1000))
    assert not sleeps


def test_wait_when_the_server_is_on_its_way_then_returns_once_a_version_is_available(
    client, model, fault
) -> None:
    model.faults = [fault("UNAVAILABLE"), fault("NOT_FOUND"), fault("UNAVAILABLE")]
    assert client.wait_until_available(timeout=30).version == 1
    assert len(model.asked) == 4


def test_wait_when_no_version_becomes_available_then_says_what_was_last_heard(
    client, model
) -> None:
    model.states = [(2, 20, 0, ""), (1, 50, 5, "no such file")]
    with pytest.raises(ServingClientError) as caught:
        client.wait_until_available(timeout=0.3)
    assert caught.value.code is StatusCode.DEADLINE_EXCEEDED
    assert caught.value.message.endswith(
        "within 0.3 s; last heard: version 2 LOADING, version 1 END (no such file)"
    )
    assert caught.value.message.startswith("model model: not AVAILABLE on ")


def test_wait_when_the_server_refuses_then_does_not_wait(client, model, fault) -> None:
    model.faults = [fault("PERMISSION_DENIED", "no")]
    with pytest.raises(ServingClientError) as caught:
        client.wait_until_available(timeout=1000)
    assert caught.value.code is StatusCode.PERMISSION_DENIED


def test_deadline_when_it_has_passed_then_says_how_long_it_was() -> None:
    deadline = Deadline(0.01)
    while time.monotonic() < deadline._end:
        pass
    with pytest.raises(ServingClientError, match=r"no answer within 0\.01 s"):
        deadline.remaining()
