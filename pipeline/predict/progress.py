"""How far a job is, for whoever waits for it: on a terminal at once, else in a log now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

_TERMINAL_SECONDS = 0.2
_LOG_SECONDS = 10.0


class Progress:
    """Counts rows and says so on a stream. Time runs from the first answer: a model has to load.

    Args:
        total: gives how many rows there are, None as long as that is not known.
        clock: in seconds.
    """

    def __init__(
        self,
        stream: TextIO,
        total: Callable[[], int | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._total = total
        self._clock = clock
        self._is_terminal = stream.isatty()
        self._interval = _TERMINAL_SECONDS if self._is_terminal else _LOG_SECONDS
        self._start: float | None = None
        self._last = 0.0
        self.done = 0
        self._timed = 0

    def add(self, rows: int) -> None:
        """Counts rows that were answered; says so if it is time."""
        now = self._clock()
        if self._start is None:
            self._start = self._last = now
        else:
            self._timed += rows
        self.done += rows
        if now - self._last >= self._interval:
            self._last = now
            line = self._line(now)
            self._stream.write(f"\r\033[K{line}" if self._is_terminal else f"{line}\n")
            self._stream.flush()

    def finish(self) -> None:
        """Ends the line of a terminal, with the whole of it."""
        if self._is_terminal:
            self._stream.write(f"\r\033[K{self._line(self._clock())}\n")
            self._stream.flush()

    def _line(self, now: float) -> str:
        total = self._total()
        of = "" if total is None else f" of {total:,}"
        seconds = now - (now if self._start is None else self._start)
        rate = f", {self._timed / seconds:,.0f} rows/s" if seconds > 0 else ""
        return f"{self.done:,}{of} rows{rate}"
