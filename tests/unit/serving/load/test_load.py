"""Loads of a real server of each protocol on loopback, in this process."""

from __future__ import annotations

import asyncio
import json
import math
import socket
import threading

import grpc
import pytest

from serving.load import GrpcCall, LoadFailed, RestCall, run_load
from serving.load.calls import from_json, to_json

BODY = b'{"instances": [1]}'
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
LAST = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
SHORT = {"clients": 3, "seconds": 0.3, "warmup": 0.05}


class Rest:
    """Answers request after request with the bytes it is told to; counts connections."""

    def __init__(self, answers, close_after):
        self.answers, self.close_after = answers, close_after
        self.connections, self.requests = 0, set()

    async def serve(self, reader, writer):
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(len(BODY))
                self.requests.add(head + body)
                # In two parts, as a large answer comes.
                answer = self.answers[len(self.requests) % len(self.answers)]
                writer.write(answer[:10])
                await writer.drain()
                writer.write(answer[10:])
                if self.close_after:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()


@pytest.fixture
def rest():
    """Starts a server on a free port; returns it and its port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    started = []

    def start(*answers, close_after=False):
        server = Rest(answers, close_after)

        async def listen():
            return await asyncio.start_server(server.serve, "127.0.0.1", 0)

        listening = asyncio.run_coroutine_threadsafe(listen(), loop).result()
        started.append(listening)
        return server, listening.sockets[0].getsockname()[1]

    yield start
    for listening in started:
        loop.call_soon_threadsafe(listening.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def grpc_port():
    """A server whose Predict answers, and whose other methods are busy."""

    class Handler(grpc.GenericRpcHandler):
        def service(self, details):
            def answer(message, context):
                if not details.method.endswith("/Predict"):
                    context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "busy")
                return message[::-1]

            return grpc.unary_unary_rpc_method_handler(answer)

    from concurrent.futures import ThreadPoolExecutor

    server = grpc.server(ThreadPoolExecutor(4), handlers=[Handler()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None).wait()


def test_rest_load_when_all_is_answered_then_counts_it_on_kept_connections(rest):
    server, port = rest(OK)
    result = run_load(RestCall("127.0.0.1", port, "/v1/models/m:predict", BODY), **SHORT)
    assert result.requests > 0
    assert result.errors == {}
    assert 0 < result.p50_ms <= result.p99_ms
    assert server.connections == 3
    (request,) = server.requests
    assert request.startswith(b"POST /v1/models/m:predict HTTP/1.1\r\nHost: 127.0.0.1:")
    assert request.endswith(b"Content-Length: 18\r\n\r\n" + BODY)


def test_rest_load_when_the_server_is_busy_then_counts_errors_and_no_latency(rest):
    _, port = rest(BUSY)
    result = run_load(RestCall("127.0.0.1", port, "/", BODY), **SHORT)
    assert result.requests == 0
    assert math.isnan(result.p99_ms)
    assert result.errors.keys() == {"503"}


def test_rest_load_when_the_server_closes_each_connection_then_asks_on_new_ones(rest):
    server, port = rest(LAST, close_after=True)
    result = run_load(RestCall("127.0.0.1", port, "/", BODY), **SHORT)
    assert result.requests > 0
    assert result.errors == {}
    assert server.connections > 3


@pytest.mark.parametrize("answer", [b"", b"220 mail.example ESMTP\r\n"], ids=["cut", "no HTTP"])
def test_rest_load_when_an_answer_is_cut_short_then_is_an_error(rest, answer):
    _, port = rest(answer, close_after=True)
    result = run_load(RestCall("127.0.0.1", port, "/", BODY), **SHORT)
    assert result.requests == 0
    assert result.errors.keys() == {"connection"}


def test_load_when_nobody_listens_then_is_all_errors():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # not listening: connections are refused
        port = held.getsockname()[1]
        over_rest = run_load(RestCall("127.0.0.1", port, "/", BODY), **SHORT)
        over_grpc = run_load(GrpcCall(f"127.0.0.1:{port}", b"x"), **SHORT)
    assert (over_rest.requests, over_rest.errors.keys()) == (0, {"connection"})
    assert (over_grpc.requests, over_grpc.errors.keys()) == (0, {"UNAVAILABLE"})


def test_grpc_load_when_all_is_answered_then_counts_it(grpc_port):
    result = run_load(GrpcCall(f"127.0.0.1:{grpc_port}", b"abc"), **SHORT)
    assert result.requests > 0
    assert result.errors == {}


def test_grpc_load_when_the_server_refuses_then_counts_its_code(grpc_port):
    result = run_load(GrpcCall(f"127.0.0.1:{grpc_port}", b"abc", "/a.B/Busy"), **SHORT)
    assert result.requests == 0
    assert result.errors.keys() == {"RESOURCE_EXHAUSTED"}


def test_load_when_its_process_fails_then_says_why():
    with pytest.raises(LoadFailed, match=r"code 1: (.|\n)*method"):
        run_load(GrpcCall("127.0.0.1:1", b"", method=3), **SHORT)


@pytest.mark.parametrize(
    "call", [RestCall("h", 1, "/p", b"\x00\xff"), GrpcCall("h:1", b"\x00\xff", "/a.B/C")]
)
def test_call_when_sent_as_json_then_is_the_same(call):
    assert from_json(json.loads(json.dumps(to_json(call)))) == call
