"""How many steps a call takes when that is left to the loop."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

from trainer_module.runner import CallSizer  # isort: skip


def sizes(seconds_of: Callable[[int], float], calls: int = 40) -> list[int]:
    """Returns the size of each of many calls that take scripted times."""
    sizer, found = CallSizer(), []
    for _ in range(calls):
        size = sizer.size
        found.append(size)
        changed = sizer.measured(size, seconds_of(size))
        assert changed == (sizer.size != size)
    assert sizer.settled
    return found


def test_sizer_when_each_call_costs_the_same_then_grows_to_the_longest():
    """Two calls of a size, the first of which warms up."""
    found = sizes(lambda steps: 0.001)
    assert found[:16] == [1, 1, 2, 2, 5, 5, 10, 10, 20, 20, 50, 50, 100, 100, 200, 200]
    assert set(found[16:]) == {200}


def test_sizer_when_longer_calls_gain_nothing_then_stays_with_the_last_that_did():
    """A step of 1 ms and 2 ms a call: from 20 to 50 the gain is 5%, to 100 it is 2%."""
    found = sizes(lambda steps: 0.002 + 0.001 * steps)
    assert set(found[14:]) == {50}


def test_sizer_when_every_step_costs_the_same_then_takes_one_at_a_time():
    assert sizes(lambda steps: 0.01 * steps)[:6] == [1, 1, 2, 2, 1, 1]


@pytest.mark.parametrize(("step", "size"), [(1.5, 1), (0.3, 2), (0.06, 10)])
def test_sizer_when_a_longer_call_would_pass_a_second_then_grows_no_more(step, size):
    found = sizes(lambda steps: 0.1 + step * steps)
    assert set(found[14:]) == {size}
    assert max(found) == size


def test_sizer_when_a_call_ends_early_with_the_epoch_then_does_not_measure_it():
    sizer = CallSizer()
    for _ in range(2):
        sizer.measured(1, 0.1)
    assert sizer.size == 2
    for _ in range(5):
        assert not sizer.measured(1, 99.0)
    assert (sizer.size, sizer.settled) == (2, False)


def test_sizer_when_the_first_call_of_a_size_is_slow_then_does_not_hold_it_against_it():
    seconds = iter([5.0, 0.1, 5.0, 0.1])
    sizer = CallSizer()
    for _ in range(4):
        sizer.measured(sizer.size, next(seconds))
    assert sizer.size == 5
