"""What is said and cancelled of jobs that Flink would try again for hours."""

from __future__ import annotations

import http.server
import json
import threading
import time

import pytest

from pipeline.beam.flink import watch
from pipeline.beam.flink.rest import NoAnswer
from pipeline.beam.flink.watch import JobWatch, cause_of, watched_jobs

OF_PYTHON = (
    "java.lang.Exception: The user defined 'open()' method caused an exception\n"
    "Caused by: java.lang.RuntimeException: Error received from SDK harness for instruction 3: "
    'Traceback (most recent call last):\n  File "own.py", line 3, in fn\n'
    "ValueError: no such column [while running 'Analyze']\n\n\tat org.apache.beam.Harness.run\n"
)
OF_A_MACHINE = (
    "org.apache.flink.runtime.jobmaster.JobMasterException: TaskManager was lost\n"
    "\tat org.apache.flink.A.b\nCaused by: java.util.concurrent.TimeoutException: heartbeat\n\tat x"
)


class JobManager:
    """Answers as a JobManager with one job."""

    def __init__(self) -> None:
        self.task_managers = 2
        self.name = "mine"
        self.end_time = -1
        self.failures: list[str] = []
        self.finished = 7
        self.restarts: int | None = None
        self.cancelled: list[str] = []
        self.asked = threading.Event()

    def answer(self, path: str):
        self.asked.set()
        if path == "/overview":
            return {"taskmanagers": self.task_managers, "slots-total": 4}
        if path == "/jobs/overview":
            job = {"jid": "j1", "name": self.name, "end-time": self.end_time}
            return {"jobs": [{**job, "tasks": {"finished": self.finished}}]}
        if path == "/jobs/j1/metrics?get=numRestarts":
            known = self.restarts is not None  # a job that has just been sent has no metrics
            return [{"id": "numRestarts", "value": str(self.restarts)}] if known else []
        assert path == "/jobs/j1/exceptions"
        return {"exceptionHistory": {"entries": [{"stacktrace": text} for text in self.failures]}}


@pytest.fixture
def flink():
    manager = JobManager()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(manager.answer(self.path)).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def do_PATCH(self) -> None:
            manager.cancelled.append(self.path)
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        manager.address = f"127.0.0.1:{server.server_port}"
        yield manager
        server.shutdown()


@pytest.fixture
def said(monkeypatch):
    texts: list[str] = []
    monkeypatch.setattr(watch, "emit", lambda kind, text: texts.append(text))
    return texts


def test_job_when_all_is_well_then_nothing_is_said(flink, said):
    JobWatch(flink.address, "mine").look()
    assert (said, flink.cancelled) == ([], [])


def test_job_when_its_python_code_fails_again_and_again_then_is_cancelled(flink, said):
    looking = JobWatch(flink.address, "mine")
    flink.failures = [OF_PYTHON]
    looking.look()
    looking.look()
    retried = (
        "Flink tries again what failed with: ValueError: no such column [while running 'Analyze']"
    )
    assert said == [retried]  # each once
    assert flink.cancelled == []

    flink.failures = [OF_PYTHON] * 3
    looking.look()
    assert said == [retried, retried, "Python code failed 3 times; cancelling the job"]
    assert flink.cancelled == ["/jobs/j1?mode=cancel"]


def test_job_when_machines_are_lost_however_often_then_goes_on(flink, said):
    flink.failures = [OF_A_MACHINE] * 16
    JobWatch(flink.address, "mine").look()
    assert said == [
        "Flink tries again what failed with: "
        "Caused by: java.util.concurrent.TimeoutException: heartbeat"
    ]
    assert flink.cancelled == []


def test_job_when_it_gets_no_further_however_often_it_is_tried_then_is_cancelled(flink, said):
    looking = JobWatch(flink.address, "mine")
    for flink.restarts, flink.finished in ((None, 7), (40, 7), (60, 9), (80, 3), (109, 9)):
        looking.look()
    assert flink.cancelled == []  # further at 60, and since then not 50 times
    flink.restarts = 110
    looking.look()
    looking.look()  # while it is being cancelled
    assert flink.cancelled == ["/jobs/j1?mode=cancel"]
    assert said == [
        "Flink has tried 50 times and got no further; cancelling the job: Flink's own logs say more"
    ]


def test_job_when_no_task_manager_comes_back_then_is_cancelled(flink, said, monkeypatch):
    looking = JobWatch(flink.address, "mine")
    flink.task_managers = 0
    looking.look()
    looking.look()
    assert said == ["Flink has lost every TaskManager; waiting for one to come back"]
    assert flink.cancelled == []

    monkeypatch.setattr(watch, "_ALONE", 0.0)
    looking.look()
    assert flink.cancelled == ["/jobs/j1?mode=cancel"]


def test_job_when_a_task_manager_comes_back_then_the_wait_begins_anew(flink, said, monkeypatch):
    looking = JobWatch(flink.address, "mine")
    flink.task_managers = 0
    looking.look()
    flink.task_managers = 1
    looking.look()
    monkeypatch.setattr(watch, "_ALONE", 0.0)
    flink.task_managers = 0
    looking.look()
    assert flink.cancelled == []


@pytest.mark.parametrize("change", [{"name": "another run's"}, {"end_time": 1}])
def test_job_when_it_is_anothers_or_has_ended_then_is_left_alone(change, flink, said):
    vars(flink).update(change, failures=[OF_PYTHON] * 5, task_managers=0)
    JobWatch(flink.address, "mine").look()
    assert (said, flink.cancelled) == ([], [])


def test_watch_when_the_block_ends_then_ends_though_nobody_answers(flink, silent):
    with watched_jobs(flink.address, "mine", poll=0.01):
        assert flink.asked.wait(60)
    with pytest.raises(NoAnswer):
        JobWatch(silent, "mine").look()
    with watched_jobs(silent, "mine", poll=0.01):
        time.sleep(0.05)


@pytest.mark.parametrize("text", ["", "\n", "just a line"])
def test_cause_when_a_stack_trace_is_odd_then_is_still_a_line(text):
    assert cause_of(text) in ("unknown", "just a line")
