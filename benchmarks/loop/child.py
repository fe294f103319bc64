"""One loop in a process of its own, which trains when it is asked and waits in between.

Loops in one process would share TensorFlow's thread pools, allocator and graph state, and time
each other's. The children are started once, since importing TensorFlow and tracing take longer
than what is timed, and idle while another is timed.
"""

from __future__ import annotations

import importlib
import logging
import multiprocessing
import os
import sys
import tempfile
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection

from benchmarks.loop.problems import Problem
from benchmarks.loop.training import Clock, Taken
from trainer_module.progress import LOGGER_NAME


@dataclass(frozen=True)
class Timed:
    """What one request took: seconds while the clock ran, of one process, all threads."""

    taken: Taken
    wall: float
    cpu: float


class Child:
    """A loop in a child process.

    Args:
        make: `module:function` that takes (problem, steps per call) and returns a `Run`.
    """

    def __init__(self, make: str, problem: Problem, steps_per_call: int) -> None:
        context = multiprocessing.get_context("spawn")
        # Of the parent: the child is ended, and could not clean up.
        self._folder = tempfile.TemporaryDirectory(prefix="bench-loop-")
        self._connection, theirs = context.Pipe()
        self._make = make
        self._process = context.Process(
            target=_serve,
            args=(theirs, make, problem, steps_per_call, self._folder.name),
            daemon=True,
        )
        self._process.start()
        theirs.close()

    def ready(self) -> None:
        """Waits until the loop is built and has made its first call.

        Raises:
            RuntimeError: if the child failed, with its traceback.
        """
        self._receive()

    def run(self, steps: int) -> Timed:
        """Trains at least `steps` steps.

        Raises:
            RuntimeError: if the child failed, with its traceback.
        """
        self._connection.send(steps)
        timed = self._receive()
        assert isinstance(timed, Timed)
        return timed

    def close(self) -> None:
        self._process.terminate()
        self._process.join()
        self._connection.close()
        self._folder.cleanup()

    def _receive(self) -> object:
        try:
            answer = self._connection.recv()
        except EOFError:
            self._process.join()
            answer = f"exit code {self._process.exitcode}"
        if isinstance(answer, str):
            raise RuntimeError(f"{self._make} failed: {answer}")
        return answer


def _serve(
    connection: Connection, make: str, problem: Problem, steps_per_call: int, folder: str
) -> None:
    tempfile.tempdir = folder
    # Orbit prints a line a call; the table is all that stdout is for.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    # What a loop tells of itself is part of its cost, but not of ours to show.
    progress = logging.getLogger(LOGGER_NAME)
    progress.addHandler(logging.NullHandler())
    progress.propagate = False
    try:
        module, _, function = make.partition(":")
        run = getattr(importlib.import_module(module), function)(problem, steps_per_call)
        # The first call traces, which takes seconds: all children do it at once.
        run(steps_per_call, Clock())
        connection.send(None)
        while True:
            steps = connection.recv()
            clock = Clock()
            clock.start()
            taken = run(steps, clock)
            clock.stop()
            connection.send(Timed(taken, clock.wall, clock.cpu))
    except EOFError:
        return  # The parent is gone.
    except Exception:
        connection.send(traceback.format_exc())
