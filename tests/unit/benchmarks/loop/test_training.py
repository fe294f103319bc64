"""The clock and the gate that loops are timed with."""

from __future__ import annotations

import pytest

from benchmarks.loop.training import Clock, Gate, Taken


@pytest.fixture
def ticking(monkeypatch) -> list[float]:
    """Wall seconds that the clock reads, in the list's only item; CPU seconds are twice as many."""
    now = [0.0]
    monkeypatch.setattr("benchmarks.loop.training.time.perf_counter", lambda: now[0])
    monkeypatch.setattr("benchmarks.loop.training.time.process_time", lambda: 2 * now[0])
    return now


def test_clock_counts_only_while_it_runs(ticking):
    clock = Clock()
    for wall, change in ((1, clock.start), (2, clock.start), (4, clock.stop), (9, clock.stop)):
        ticking[0] = wall
        change()
    ticking[0] = 10
    clock.start()
    ticking[0] = 10.5
    clock.stop()
    assert (clock.wall, clock.cpu) == (3.5, 7.0)


def _training(gate: Gate, log: list[int]) -> None:
    gate.wait()
    for number in range(1, 100):
        log.append(number)
        gate.taken(10, loss=1.0 / number, accuracy=0.5)


def test_gate_lets_a_training_take_at_least_the_steps_wanted_and_no_more_calls():
    gate = Gate()
    log: list[int] = []
    gate.start(lambda: _training(gate, log))
    assert log == []
    assert gate.run(25, Clock()) == Taken(30, 1 / 3, 0.5)
    assert log == [1, 2, 3]
    assert gate.run(10, Clock()) == Taken(10, 1 / 4, 0.5)
    assert log == [1, 2, 3, 4]


def test_gate_stops_the_clock_before_it_hands_over(ticking):
    gate = Gate()
    clock = Clock()
    clock.start()

    def training() -> None:
        gate.wait()
        ticking[0] = 3.0
        gate.taken(1, 0.0, 0.0)

    gate.start(training)
    gate.run(1, clock)
    ticking[0] = 8.0
    clock.stop()
    assert clock.wall == 3.0


def test_gate_raises_what_the_training_raised():
    gate = Gate()

    def broken() -> None:
        gate.wait()
        raise ValueError("no such layer")

    gate.start(broken)
    with pytest.raises(ValueError, match="no such layer"):
        gate.run(1, Clock())


def test_gate_on_a_training_that_ends_says_so():
    gate = Gate()
    gate.start(gate.wait)
    with pytest.raises(RuntimeError, match="ended by itself"):
        gate.run(1, Clock())
