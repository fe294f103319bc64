"""Watches the jobs of a run on Flink, and ends what would be retried in silence.

Flink restarts a job that has failed, a thousand times: right for a machine that was lost, and hours
of waiting for a mistake in a task's code. What it tries again for is said, and a job whose Python
code fails again and again, that gets no further however often, or that has no TaskManager left, is
cancelled.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from pipeline.beam.flink.rest import NoAnswer, cancel, get, overview
from trainer_module.progress import emit

_POLL = 3.0
_TIMEOUT = 10.0
_ALONE = 60.0
"""Seconds that a job waits for the first TaskManager to come back."""

_FAILURES = 3
"""Of the Python code in one job, after which it is a mistake."""

_RESTARTS = 50
"""In which no more of a job gets finished than before; one lost TaskManager makes a dozen."""

_FROM_PYTHON = "Error received from SDK harness"


@contextlib.contextmanager
def watched_jobs(master: str, job_name: str, poll: float = _POLL) -> Iterator[None]:
    """Watches the jobs of that name at a JobManager while the block runs."""
    ended = threading.Event()
    watch = JobWatch(master, job_name)

    def follow() -> None:
        while not ended.wait(poll):
            # A JobManager that does not answer for a while is no reason to end anything.
            with contextlib.suppress(NoAnswer):
                watch.look()

    thread = threading.Thread(target=follow, name="flink-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class JobWatch:
    """What has been seen of the jobs of a name."""

    def __init__(self, master: str, job_name: str) -> None:
        self._master = master
        self._job_name = job_name
        self._told: dict[str, int] = {}
        self._furthest: dict[str, tuple[int, int]] = {}
        self._alone_since: float | None = None

    def look(self) -> None:
        """Looks once, says what is new, and cancels what has no prospect.

        Raises:
            NoAnswer: if the JobManager does not answer.
        """
        jobs = get(self._master, "jobs/overview", _TIMEOUT)["jobs"]
        going = {
            job["jid"]: job["tasks"]["finished"]
            for job in jobs
            if job["name"] == self._job_name and job["end-time"] == -1
        }
        if not going:
            self._alone_since = None
            return
        self._look_for_task_managers(list(going))
        for job, finished in going.items():
            self._look_at_failures(job)
            self._look_at_restarts(job, finished)

    def _look_for_task_managers(self, going: list[str]) -> None:
        if overview(self._master, _TIMEOUT).task_managers:
            self._alone_since = None
            return
        if self._alone_since is None:
            self._alone_since = time.monotonic()
            emit("warning", text="Flink has lost every TaskManager; waiting for one to come back")
        elif time.monotonic() - self._alone_since > _ALONE:
            emit("warning", text=f"no TaskManager came back in {_ALONE:.0f} s; cancelling the job")
            self._cancel(going)

    def _look_at_failures(self, job: str) -> None:
        found = get(self._master, f"jobs/{job}/exceptions", _TIMEOUT)
        failures = [entry["stacktrace"] for entry in found["exceptionHistory"]["entries"]]
        if len(failures) <= self._told.get(job, 0):
            return
        self._told[job] = len(failures)
        of_python = [text for text in failures if _FROM_PYTHON in text]
        cause = cause_of((of_python or failures)[0])
        emit("warning", text=f"Flink tries again what failed with: {cause}")
        if len(of_python) >= _FAILURES:
            emit("warning", text=f"Python code failed {len(of_python)} times; cancelling the job")
            self._cancel([job])

    def _look_at_restarts(self, job: str, finished: int) -> None:
        metrics = get(self._master, f"jobs/{job}/metrics?get=numRestarts", _TIMEOUT)
        restarts = next((int(metric["value"]) for metric in metrics), 0)
        most, before = self._furthest.get(job, (-1, restarts))
        is_further = finished > most
        if not is_further and restarts - before < _RESTARTS:
            return
        # Counted anew also where it is cancelled, which takes a while: that is said once.
        self._furthest[job] = (max(finished, most), restarts)
        if not is_further:
            emit(
                "warning",
                text=f"Flink has tried {restarts - before} times and got no further; cancelling "
                "the job: Flink's own logs say more",
            )
            self._cancel([job])

    def _cancel(self, jobs: list[str]) -> None:
        for job in jobs:
            cancel(self._master, job, _TIMEOUT)


def cause_of(stacktrace: str) -> str:
    """Returns the line of a Java stack trace that says what went wrong: Python's own, if any."""
    _, separator, of_python = stacktrace.rpartition(_FROM_PYTHON)
    if separator:
        lines = of_python.split("\n\tat ")[0].splitlines()
    else:
        first, *others = stacktrace.splitlines() or ["unknown"]
        lines = [first, *(line for line in others if line.startswith("Caused by: "))]
    said = [line.strip() for line in lines if line.strip()]
    return said[-1][:300] if said else "unknown"
