"""What every loop offers to be timed: a function that trains, and the clock it is timed by."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


class Clock:
    """Wall and CPU seconds of this process, all its threads, while the clock runs."""

    def __init__(self) -> None:
        self.wall = 0.0
        self.cpu = 0.0
        self._since: tuple[float, float] | None = None

    def start(self) -> None:
        if self._since is None:
            self._since = time.perf_counter(), time.process_time()

    def stop(self) -> None:
        if self._since is not None:
            self.wall += time.perf_counter() - self._since[0]
            self.cpu += time.process_time() - self._since[1]
            self._since = None


@dataclass(frozen=True)
class Taken:
    """Steps that a loop took, and what it told its user of the last of them; NaN for nothing."""

    steps: int
    loss: float
    accuracy: float


Run = Callable[[int, Clock], Taken]
"""(steps, running clock) -> at least so many steps. A loop that does other work in between (an
evaluation, a checkpoint) stops the clock meanwhile."""


class Gate:
    """Turns a training that goes on by itself, and calls back, into a `Run`.

    The training has a thread of its own. Its callbacks `wait` until steps are wanted and count
    those `taken`; an error in it is raised by `run`.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self._wanted = 0
        self._steps = 0
        self._orders: queue.Queue[tuple[int, Clock]] = queue.Queue()
        self._results: queue.Queue[Taken | Exception] = queue.Queue()

    def start(self, train: Callable[[], object]) -> None:
        def guarded() -> None:
            try:
                train()
                raise RuntimeError("the training ended by itself")
            except Exception as error:
                self._results.put(error)

        threading.Thread(target=guarded, daemon=True).start()

    def run(self, steps: int, clock: Clock) -> Taken:
        self._orders.put((steps, clock))
        result = self._results.get()
        if isinstance(result, Exception):
            raise result
        return result

    def wait(self) -> None:
        """Blocks the training until steps are wanted."""
        self._wanted, self.clock = self._orders.get()
        self._steps = 0

    def taken(self, steps: int, loss: float, accuracy: float) -> None:
        """Counts timed steps; when they are enough, hands them over and waits for more."""
        self._steps += steps
        if self._steps >= self._wanted:
            self.clock.stop()
            self._results.put(Taken(self._steps, loss, accuracy))
            self.wait()
