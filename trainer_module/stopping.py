"""A request to save and leave, which a signal makes and the loop answers between two calls."""

from __future__ import annotations

import os
import signal
import threading

EXIT_CODE = 143
"""Of a process that SIGTERM ended once its training was saved: 128 + 15, as shells have it."""

_requested = threading.Event()
_listening = threading.Event()


class Interrupted(Exception):
    """The training was asked to stop and has saved where it is; started again it goes on."""

    def __init__(self, step: int) -> None:
        super().__init__(f"stopped by SIGTERM and saved at step {step}: run it again to go on")
        self.step = step


def stop_on_sigterm() -> None:
    """Makes SIGTERM a request while a training listens; call it in the main thread.

    While none does there is nothing to save: the process ends at once.
    """
    signal.signal(signal.SIGTERM, _on_sigterm)


def listen_again() -> None:
    """Takes SIGTERM back from TensorFlow, which a multi-worker strategy's service hands it to.

    Its handler only notes the signal, for a checkpoint manager that is not used here.
    """
    handler = signal.getsignal(signal.SIGTERM)
    if handler is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


def request_stop() -> None:
    """Asks the training to save and leave."""
    _requested.set()


def stop_requested() -> bool:
    return _requested.is_set()


def listen() -> None:
    """Says that the loop looks for a request, and has something to save."""
    _listening.set()


def forget() -> None:
    """Ends the listening, and drops a request that was answered."""
    _listening.clear()
    _requested.clear()


def _on_sigterm(_number: int, _frame: object) -> None:
    if _listening.is_set():
        request_stop()
        return
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)
