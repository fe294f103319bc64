"""What is said of a job's progress, and how often."""

from __future__ import annotations

import io

import pytest

from pipeline.predict.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock():
    class Clock:
        now = 100.0

        def __call__(self) -> float:
            return self.now

    return Clock()


def test_progress_when_in_a_log_then_a_line_every_ten_seconds(clock) -> None:
    log = io.StringIO()
    progress = Progress(log, lambda: 5000, clock)
    for _ in range(24):
        progress.add(100)
        clock.now += 1
    progress.finish()
    assert log.getvalue() == "1,100 of 5,000 rows, 100 rows/s\n2,100 of 5,000 rows, 100 rows/s\n"


def test_progress_when_it_is_over_soon_then_a_log_hears_nothing(clock) -> None:
    log = io.StringIO()
    progress = Progress(log, lambda: None, clock)
    clock.now += 60  # until the model is loaded
    progress.add(3)
    progress.finish()
    assert log.getvalue() == ""


def test_progress_when_on_a_terminal_then_one_line_that_changes(clock) -> None:
    terminal = Terminal()
    progress = Progress(terminal, lambda: None, clock)
    progress.add(10)
    clock.now += 0.1
    progress.add(10)
    clock.now += 0.4
    progress.add(10)
    progress.finish()
    assert terminal.getvalue() == ("\r\033[K30 rows, 40 rows/s\r\033[K30 rows, 40 rows/s\n")


def test_progress_when_nothing_was_answered_then_says_so_without_a_rate(clock) -> None:
    terminal = Terminal()
    Progress(terminal, lambda: 0, clock).finish()
    assert terminal.getvalue() == "\r\033[K0 of 0 rows\n"
