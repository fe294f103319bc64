"""Ends a job of Beam's own runner, direct or as a job service, whose worker process has died.

Beam waits for the answer of a worker for ever, though the worker was killed: for want of memory,
most often. Here whoever waits gets the news as the answer.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

LOST = "a worker of Beam was killed before it answered"

_AGAIN = 1.0
"""Seconds after which what was being asked at the instant of the death is answered, too."""


@contextlib.contextmanager
def failing_with_dead_workers() -> Iterator[None]:
    """Lets jobs of this process fail whose workers, its own processes, die."""
    from apache_beam.runners.portability.fn_api_runner import worker_handlers

    handler = worker_handlers.SubprocessSdkWorkerHandler
    before = handler.start_worker
    handler.start_worker = _start_worker
    try:
        yield
    finally:
        handler.start_worker = before


@contextlib.contextmanager
def failing_with_lost_workers() -> Iterator[None]:
    """Lets jobs of this process fail that lose the connection to a worker, whosever it is."""
    from apache_beam.runners.portability.fn_api_runner import worker_handlers

    connection = worker_handlers.ControlConnection
    before = connection._read

    def read(self: Any) -> None:
        # Where the other end is gone, gRPC raises an error or ends the answers, as it happens. In
        # order they end once the job is over, when nobody waits any more, nor for this thread.
        with contextlib.suppress(Exception):
            before(self)
        threading.Thread(target=_answer_all, args=(self, LOST), daemon=True).start()

    connection._read = read
    try:
        yield
    finally:
        connection._read = before


def _start_worker(self: Any) -> None:
    """Starts a worker as Beam does, in a thread that waits for its end."""
    from apache_beam.runners.portability import local_job_service

    self.worker = local_job_service.SubprocessSdkWorker(
        self._worker_command_line, self.control_address, self.provision_info, self.worker_id
    )
    self.worker_thread = threading.Thread(
        name="run_worker", target=_run, args=(self.worker, self.control_conn)
    )
    self.worker_thread.start()


def _run(worker: Any, connection: Any) -> None:
    try:
        worker.run()
    except RuntimeError as died:  # it ended, and not well
        _answer_all(connection, str(died))


def _answer_all(connection: Any, error: str) -> None:
    """Answers what a worker was asked, and will be, with an error."""
    from apache_beam.portability.api import beam_fn_api_pb2

    push = connection.push

    def answer(request: Any) -> Any:
        future = push(request)
        if future is not None:  # None: of the word that there is no more to do
            sweep()
        return future

    def sweep() -> None:
        for number, future in list(connection._futures_by_id.items()):
            connection._futures_by_id.pop(number, None)
            future.set(beam_fn_api_pb2.InstructionResponse(instruction_id=number, error=error))

    connection.push = answer
    sweep()
    time.sleep(_AGAIN)
    sweep()
