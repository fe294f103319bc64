"""A request to save and leave, which a signal makes and the loop answers between two calls."""

from __future__ import annotations

import signal
import threading

EXIT_CODE = 143
"""Of a process that SIGTERM ended once its training was saved: 128 + 15, as shells have it."""

_requested = threading.Event()


class Interrupted(Exception):
    """The training was asked to stop and has saved where it is; started again it goes on."""

    def __init__(self, step: int) -> None:
        super().__init__(f"stopped by SIGTERM and saved at step {step}: run it again to go on")
        self.step = step


def request_stop() -> None:
    _requested.set()


def stop_requested() -> bool:
    return _requested.is_set()


def clear() -> None:
    """Forgets a request, for a process that goes on after it."""
    _requested.clear()


def stop_on_sigterm() -> None:
    """Makes SIGTERM a request; call it in the main thread."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: request_stop())
