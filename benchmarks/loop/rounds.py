"""Times loops in turn, round after round, so that what the machine does meanwhile hits them all."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from benchmarks.loop.child import Child, Timed
from benchmarks.loop.problems import Problem

_CALIBRATION_STEPS = 10


@dataclass(frozen=True)
class Competitor:
    """A loop to be timed.

    Attributes:
        name: as the tables show it.
        make: `module:function` that takes (problem, steps per call) and returns a `Run`.
    """

    name: str
    make: str
    steps_per_call: int = 1


@dataclass
class Times:
    """What each round took, in microseconds a step, and the last accuracy the loop reported."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    accuracy: float = 0.0

    def add(self, timed: Timed) -> None:
        self.wall.append(timed.wall / timed.taken.steps * 1e6)
        self.cpu.append(timed.cpu / timed.taken.steps * 1e6)
        self.accuracy = timed.taken.accuracy


def time_in_turn(
    problem: Problem, competitors: Sequence[Competitor], rounds: int, seconds: float
) -> dict[str, Times]:
    """Returns the times of each competitor by name; tracing and the first calls are not timed.

    Args:
        seconds: how long about each turn lasts.

    Raises:
        RuntimeError: if a competitor fails, with its traceback.
    """
    times = {competitor.name: Times() for competitor in competitors}
    with ExitStack() as stack:
        children: dict[str, Child] = {}
        for competitor in competitors:
            child = Child(competitor.make, problem, competitor.steps_per_call)
            stack.callback(child.close)
            children[competitor.name] = child
        steps = {}
        for child in children.values():
            child.ready()
        for competitor in competitors:
            child = children[competitor.name]
            trial = child.run(max(competitor.steps_per_call, _CALIBRATION_STEPS))
            calls = seconds / trial.wall * trial.taken.steps / competitor.steps_per_call
            steps[competitor.name] = max(1, round(calls)) * competitor.steps_per_call
        order = list(children)
        for number in range(rounds):
            # Another one goes first each time: no loop always follows the same neighbour's heat.
            turn = number % len(order)
            for name in order[turn:] + order[:turn]:
                times[name].add(children[name].run(steps[name]))
    return times
