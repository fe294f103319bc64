"""Which parameters a curve of latencies leads to."""

from __future__ import annotations

import pytest

from serving.config import BatchingConfig
from serving.tuning.candidates import (
    BatchCost,
    TargetOutOfReach,
    allowed_sizes,
    first_candidates,
    neighbours,
    usable_sizes,
    with_options,
)


def curve_of(*milliseconds):
    """A curve over 1, 2, 4, ... of medians; 99 of 100 calls take up to twice as long."""
    return [BatchCost(2**power, median, 2 * median) for power, median in enumerate(milliseconds)]


# A call costs 1 ms, and a row 0.1 ms; then a call that costs the same whatever its size; then one
# whose rows cost all there is.
STEADY = curve_of(1.1, 1.2, 1.4, 1.8, 2.6, 4.2, 7.4)
FLAT = curve_of(1.0, 1.0, 1.0, 1.0)
LINEAR = curve_of(1.0, 2.0, 4.0, 8.0)


def test_cost_gives_rows_a_second():
    assert BatchCost(8, 2.0, 3.0).rows_per_second == 4000


@pytest.mark.parametrize(
    ("curve", "target", "clients", "expected"),
    [
        (STEADY, 100.0, 64, [1, 2, 4, 8, 16, 32, 64]),
        (STEADY, 100.0, 10, [1, 2, 4, 8]),  # more than clients could fill is of no use
        (STEADY, 10.4, 64, [1, 2, 4, 8, 16]),  # twice 5.2 ms is just in time
        (STEADY, 10.3, 64, [1, 2, 4, 8]),
        (STEADY, 3.0, 64, [1]),  # one call is in time, two are not
        (LINEAR, 100.0, 1, [1]),
    ],
)
def test_usable_sizes_are_those_in_time_that_the_clients_can_fill(curve, target, clients, expected):
    assert [cost.size for cost in usable_sizes(curve, target, clients)] == expected


@pytest.mark.parametrize("find", [usable_sizes, lambda *args: first_candidates(*args, cores=2)])
def test_target_when_one_row_alone_is_too_slow_then_is_out_of_reach(find):
    with pytest.raises(TargetOutOfReach, match=r"one row alone takes 2\.20 ms"):
        find(STEADY, 2.1, 64)


@pytest.mark.parametrize(
    ("curve", "largest", "expected"),
    [
        (STEADY, 64, [1, 2, 4, 8, 16, 32, 64]),
        (STEADY, 8, [1, 2, 4, 8]),
        (FLAT, 8, [8]),
        (LINEAR, 8, [1, 2, 4, 8]),
        (curve_of(1.0, 1.04, 1.5, 1.45), 8, [2, 8]),  # noise, and a size that is slower alone
    ],
)
def test_allowed_sizes_leave_out_those_that_are_padded_for_nothing(curve, largest, expected):
    assert allowed_sizes(curve, largest) == expected


def test_first_candidates_when_rows_are_almost_free_then_begin_with_the_largest_batches():
    first, *others = first_candidates(STEADY, 100.0, clients=64, cores=2)
    assert first.max_batch_size == 64
    assert first.allowed_batch_sizes == [1, 2, 4, 8, 16, 32, 64]
    assert first.batch_timeout_micros == 7400  # as long as a call, while it is in time
    assert first.num_batch_threads == 2
    assert {config.batch_timeout_micros for config in others} > {0}
    assert {config.num_batch_threads for config in others} == {1, 2}


def test_first_candidates_when_larger_batches_bring_nothing_then_small_ones_are_among_them():
    sizes = {config.max_batch_size for config in first_candidates(LINEAR, 100.0, 64, cores=2)}
    assert sizes == {1, 8}


def test_first_candidates_when_the_target_is_tight_then_the_wait_fits_into_it():
    for config in first_candidates(STEADY, 10.4, clients=64, cores=2):
        cost = next(cost for cost in STEADY if cost.size == config.max_batch_size)
        assert config.batch_timeout_micros <= (10.4 - 2 * cost.p99_ms) * 1e3 + 1


def test_first_candidates_when_the_machine_has_one_core_then_none_is_there_twice():
    found = first_candidates(STEADY, 100.0, clients=64, cores=1)
    assert len(found) == len({config.model_dump_json() for config in found})


@pytest.mark.parametrize(
    ("target", "threads", "clients", "expected"),
    [
        (74.0, 1, 4, 71),  # 74 ms / 1.04 ms
        (74.0, 2, 4, 142),
        (10.0, 1, 64, 64),  # a place for every client
    ],
)
def test_queue_holds_what_is_run_in_time_and_every_client(target, threads, clients, expected):
    curve = curve_of(1.04, 1.04, 1.04)
    queues = {
        config.num_batch_threads: config.max_enqueued_batches
        for config in first_candidates(curve, target, clients, cores=2)
    }
    assert queues[threads] == expected


def test_neighbours_are_one_step_away_and_in_time():
    config = first_candidates(STEADY, 60.0, clients=64, cores=2)[0]
    found = neighbours(config, STEADY, 60.0, clients=64)
    steps = {(near.max_batch_size, near.batch_timeout_micros) for near in found}
    assert steps == {(64, 14800), (64, 3700), (32, 7400)}
    assert config not in found
    assert {near.num_batch_threads for near in found} == {2}


def test_neighbours_when_there_is_no_wait_then_a_short_one_is_tried_and_none_is_not_halved():
    config = next(
        config
        for config in first_candidates(STEADY, 60.0, clients=64, cores=1)
        if config.batch_timeout_micros == 0 and config.max_batch_size == 64
    )
    steps = {
        (near.max_batch_size, near.batch_timeout_micros)
        for near in neighbours(config, STEADY, 60.0, clients=64)
    }
    assert steps == {(64, 200), (32, 0)}


def test_options_that_a_version_has_are_kept_when_it_is_tuned():
    tuned = BatchingConfig(max_batch_size=16, allowed_batch_sizes=[4, 16])
    padded = with_options(tuned, BatchingConfig(pad_variable_length_inputs=True))
    assert padded == BatchingConfig(
        max_batch_size=16, allowed_batch_sizes=[4, 16], pad_variable_length_inputs=True
    )


@pytest.mark.parametrize(("largest", "taken"), [(100, 100), (8, 16)])
def test_requests_that_are_split_are_taken_in_their_size_when_the_parts_are_tuned(largest, taken):
    tuned = BatchingConfig(max_batch_size=16, allowed_batch_sizes=[4, 16])
    present = BatchingConfig(max_batch_size=largest, enable_large_batch_splitting=True)
    found = with_options(tuned, present)
    assert BatchingConfig.model_validate(found.model_dump()) == found
    assert (found.max_batch_size, found.execution_batch_size) == (taken, 16)
