"""The pool starts a worker for each request, and mixes none up."""

from __future__ import annotations

import subprocess
import sys

import grpc
import pytest
from apache_beam.portability.api import (
    beam_fn_api_pb2,
    beam_fn_api_pb2_grpc,
    endpoints_pb2,
)

from pipeline.beam import worker_pool


@pytest.fixture
def started(monkeypatch):
    """Replaces the workers by processes that do nothing; returns (command, process) of each."""
    found = []
    popen = subprocess.Popen

    def start(command, **_):
        process = popen([sys.executable, "-c", "import time; time.sleep(600)"])
        found.append((command, process))
        return process

    monkeypatch.setattr(worker_pool.subprocess, "Popen", start)
    yield found
    for _, process in found:
        process.kill()
        process.wait()


@pytest.fixture
def pool():
    server, port = worker_pool.serve("127.0.0.1", 0)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel)
    server.stop(None)


def _request(endpoint: str) -> beam_fn_api_pb2.StartWorkerRequest:
    return beam_fn_api_pb2.StartWorkerRequest(
        worker_id="1-1", control_endpoint=endpoints_pb2.ApiServiceDescriptor(url=endpoint)
    )


def test_two_engines_when_both_call_their_worker_the_same_then_neither_ends_the_others(
    pool, started
):
    for endpoint in ("localhost:1", "localhost:2"):
        assert pool.StartWorker(_request(endpoint)).error == ""
    pool.StopWorker(beam_fn_api_pb2.StopWorkerRequest(worker_id="1-1"))

    assert [command[-2:] for command, _ in started] == [
        ["localhost:1", "1-1"],
        ["localhost:2", "1-1"],
    ]
    assert all(process.poll() is None for _, process in started)


def test_worker_that_cannot_be_started_when_it_is_asked_for_then_the_engine_is_told(
    pool, monkeypatch
):
    def refuse(*_, **__):
        raise OSError("no more processes")

    monkeypatch.setattr(worker_pool.subprocess, "Popen", refuse)
    assert pool.StartWorker(_request("localhost:1")).error == "no more processes"


def test_pool_when_its_port_is_taken_then_does_not_start(listening):
    port = int(listening().rpartition(":")[2])
    with pytest.raises(RuntimeError):
        worker_pool.serve("127.0.0.1", port)


def test_worker_when_its_engine_dies_then_ends_though_threads_wait(repository):
    """A control endpoint that takes the connection and goes away without a word."""
    from concurrent import futures

    class Control(beam_fn_api_pb2_grpc.BeamFnControlServicer):
        def Control(self, _requests, context):
            context.abort(grpc.StatusCode.UNAVAILABLE, "gone")

    server = grpc.server(futures.ThreadPoolExecutor())
    beam_fn_api_pb2_grpc.add_BeamFnControlServicer_to_server(Control(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.beam.worker", f"127.0.0.1:{port}", "1-1"],
        cwd=repository, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    server.stop(None)
    assert done.returncode == 1
    assert "gone" in done.stderr
