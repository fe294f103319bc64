"""The search on a server that is a formula: what it tries, and what it takes for the best."""

from __future__ import annotations

import pytest

from serving.load import LoadResult
from serving.tuning.candidates import BatchCost, TargetOutOfReach, first_candidates
from serving.tuning.search import Trial, search

CURVE = [BatchCost(2**power, 1 + 0.1 * 2**power, 2 + 0.2 * 2**power) for power in range(7)]


def result(throughput, p99_ms, errors=0):
    requests, refused = int(throughput), {"UNAVAILABLE": errors} if errors else {}
    return LoadResult(requests, refused, 1.0, 1.0, p99_ms, requests + errors)


@pytest.fixture
def server():
    """A server that does best with batches of 32 that wait 1 ms, and a record of what it ran."""

    class Server(list):
        def measure(self, config):
            self.append(config)
            distance = (
                abs(config.max_batch_size - 32) + abs(config.batch_timeout_micros - 1000) / 100
            )
            return result(2000 - distance, p99_ms=20 + distance / 10)

    return Server()


def test_search_when_the_best_is_near_a_candidate_then_steps_towards_it(server):
    trials = search(CURVE, 100.0, clients=64, cores=2, measure=server.measure, steps=8)
    first = first_candidates(CURVE, 100.0, clients=64, cores=2)
    best = trials[0].config
    assert best not in first
    assert best.max_batch_size == 32
    assert 500 <= best.batch_timeout_micros <= 2000


def test_search_tries_nothing_twice_and_returns_all_that_it_tried(server):
    trials = search(CURVE, 100.0, clients=64, cores=2, measure=server.measure, steps=4)
    assert len(server) == len({config.model_dump_json() for config in server})
    assert {trial.config.model_dump_json() for trial in trials} == {
        config.model_dump_json() for config in server
    }


def test_search_when_the_fastest_misses_the_target_then_takes_one_that_does_not():
    def measure(config):
        return result(config.max_batch_size, p99_ms=3 * config.max_batch_size)

    trials = search(CURVE, 50.0, clients=64, cores=2, measure=measure, steps=3)
    assert trials[0].result.throughput == 16
    assert [trial.meets(50.0) for trial in trials] == sorted(
        [trial.meets(50.0) for trial in trials], reverse=True
    )


def test_search_when_nothing_meets_the_target_then_the_nearest_to_it_is_first():
    def measure(config):
        return result(1000, 60.0 + config.batch_timeout_micros)

    trials = search(CURVE, 50.0, clients=64, cores=2, measure=measure)
    assert not trials[0].meets(50.0)
    assert trials[0].result.p99_ms == 60.0


def test_search_when_the_model_alone_is_too_slow_then_no_load_is_made(server):
    with pytest.raises(TargetOutOfReach):
        search(CURVE, 1.0, clients=64, cores=2, measure=server.measure)
    assert server == []


@pytest.mark.parametrize(
    ("found", "meets"),
    [
        (result(100, 50.0), True),
        (result(100, 50.1), False),
        (result(100, 10.0, errors=1), False),
        (result(0, float("nan")), False),
    ],
    ids=["in time", "late", "a request was refused", "nothing was answered"],
)
def test_trial_meets_the_target_when_all_is_answered_and_in_time(found, meets):
    assert Trial(first_candidates(CURVE, 100.0, 1, 1)[0], found).meets(50.0) is meets
