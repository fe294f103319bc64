"""Hostile requests: the server outlives them, refuses them, and answers the good ones meanwhile."""

import gzip
import http.client
import json
import os
import re
import socket
import struct
import threading
import time
from collections import Counter

import grpc
import numpy as np
import psutil
import pytest
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

from tests.contract.clients import Grpc, predict_request
from tests.contract.models import LABELS, floats, model_config, models_text, write_half_plus_two
from tests.integration.serving.server import hostile
from tests.integration.serving.server.conftest import family, resident

REQUESTS = 2000
LIMIT = 1 << 20
"""Bytes that the server takes in one request."""

TIMEOUT_MS = 2000
PATIENCE = 30.0
"""Seconds after which an answer counts as missing; the machine may be busy."""

MESSAGES = dict(
    zip(
        hostile.METHODS,
        [
            predict_pb2.PredictRequest,
            classification_pb2.ClassificationRequest,
            regression_pb2.RegressionRequest,
            inference_pb2.MultiInferenceRequest,
            get_model_metadata_pb2.GetModelMetadataRequest,
            get_model_status_pb2.GetModelStatusRequest,
            model_management_pb2.ReloadConfigRequest,
        ],
        strict=True,
    )
)
REFUSALS = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}


@pytest.fixture(scope="module")
def server(start_server, tmp_path_factory):
    """A server with a process for each core and small limits."""
    folder = tmp_path_factory.mktemp("models")
    for version in LABELS.values():
        write_half_plus_two(folder / "half_plus_two" / str(version), 1.0 + version)
    config = folder / "models.config"
    config.write_text(models_text(model_config("half_plus_two", folder / "half_plus_two")))
    server = start_server(
        f"--model_config_file={config}",
        f"--rest_api_timeout_in_ms={TIMEOUT_MS}",
        f"--rest_api_max_body_bytes={LIMIT}",
        f"--grpc_max_message_bytes={LIMIT}",
    )
    server.wait_until_available("half_plus_two", 2)
    return server


class GoodClients:
    """Clients that send good requests over both protocols and hold the answers right."""

    def __init__(self, server):
        self._server = server
        self._ended = threading.Event()
        self.answered = Counter()
        self.failures = []
        self._threads = [
            threading.Thread(target=self._run, args=(name, make))
            for name, make in (("rest", self._rest), ("grpc", self._grpc))
        ]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def wait_for_more(self, count=5):
        """Waits until both protocols were answered some times more."""
        before = Counter(self.answered)
        self._server.wait_until(
            lambda: (
                all(self.answered[name] >= before[name] + count for name in ("rest", "grpc"))
                or bool(self.failures)
            ),
            "answers to good requests",
        )

    def _run(self, name, make):
        try:
            ask = make()
            while not self._ended.wait(0.01):
                answer = ask()
                assert answer == [3.5, 4.0], answer
                self.answered[name] += 1
        except Exception as error:  # it is the finding, whatever it is
            self.failures.append((name, error))

    def _rest(self):
        connection = http.client.HTTPConnection(
            "127.0.0.1", self._server.rest_port, timeout=PATIENCE
        )

        def ask():
            connection.request("POST", hostile.PREDICT, hostile.GOOD_BODY)
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, (answer.status, body)
            return json.loads(body)["predictions"]

        return ask

    def _grpc(self):
        client = Grpc(self._server.grpc_target)

        def ask():
            response = client.predict("half_plus_two", {"x": floats(1.0, 2.0)}, timeout=PATIENCE)
            return list(response.outputs["y"].float_val)

        return ask


@pytest.fixture(autouse=True)
def good_clients(server):
    """Good requests during every test, all of them answered, by the same processes throughout."""
    before = [process.pid for process in family(server)]
    with GoodClients(server) as clients:
        clients.wait_for_more()
        yield clients
        clients.wait_for_more()
    assert not clients.failures, clients.failures
    assert server.process.poll() is None, server.output()[-6000:]
    assert [process.pid for process in family(server)] == before, server.output()[-6000:]


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def read_all(connection):
    """Returns what the server sends until it closes; a reset is an end as well."""
    found = b""
    try:
        while data := connection.recv(65536):
            found += data
    except (ConnectionResetError, BrokenPipeError):
        pass
    return found


def flood(connection, piece):
    """Sends without end, until the server closes the connection, which it must."""
    sent = 0
    try:
        while sent < 64 * LIMIT:
            connection.sendall(piece)
            sent += len(piece)
    except OSError:
        return
    pytest.fail(f"the server takes {sent} bytes and more")


def statuses(answer):
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)]


def exchange(server, request):
    """Sends a REST request as it is; returns the statuses of the answers."""
    with connect(server.rest_port) as connection:
        try:
            connection.sendall(request.data)
            if not request.is_http:  # there may be no end to wait for
                connection.shutdown(socket.SHUT_WR)
        except OSError:  # closed while it was sent to, or reset
            pass
        return statuses(read_all(connection))


def check_rest(server, request):
    found = exchange(server, request)
    allowed = {100, 200} if request.may_succeed else set()
    assert all(400 <= status < 500 or status in allowed for status in found), (request, found)
    if request.is_http:
        assert len(found) == 1, (request, found)


def check_grpc(channel, request):
    call = channel.unary_unary(hostile.SERVICES + request.method)
    try:
        call(request.data, timeout=PATIENCE)
    except grpc.RpcError as error:
        code = error.code()
    else:
        assert request.may_succeed, request
        return
    if code == grpc.StatusCode.INTERNAL:  # the library's own answer to what is no message
        with pytest.raises(DecodeError):
            MESSAGES[request.method].FromString(request.data)
    else:
        assert code in REFUSALS, (request, code)


def test_hostile_requests_when_two_thousand_are_sent_then_each_is_refused(server):
    sent = Counter()
    client = Grpc(server.grpc_target)

    @settings(
        max_examples=REQUESTS,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(hostile.requests)
    def send(request):
        sent[request.kind] += 1
        if request.method is None:
            check_rest(server, request)
        else:
            check_grpc(client.channel, request)

    send()
    client.close()
    assert sum(sent.values()) >= REQUESTS, sent
    assert len(sent) > 20 and min(sent.values()) >= 5, sent


def test_a_body_when_larger_than_the_limit_then_the_status_says_so(server):
    request = hostile.posted("body that is too large", b" " * (LIMIT + 1))
    assert exchange(server, request) == [413]


@pytest.mark.parametrize("kind", ["announced", "without end"])
def test_a_body_when_gigabytes_then_is_refused_before_it_is_there(server, kind):
    headers = {"announced": f"Content-Length: {10 << 30}", "without end": hostile.CHUNKED}[kind]
    block = b" " * 65536
    piece = block if kind == "announced" else b"%x\r\n%s\r\n" % (len(block), block)
    before = resident(server)
    with connect(server.rest_port) as connection:
        head = f"POST {hostile.PREDICT} HTTP/1.1\r\n{hostile.HOST}{headers}\r\n\r\n"
        connection.sendall(head.encode())
        flood(connection, piece)
        found = statuses(read_all(connection))
    assert found in ([413], []), found  # an answer may be lost with what was still being sent
    assert resident(server) - before < 64 * LIMIT


def test_a_message_when_larger_than_the_limit_then_resources_are_exhausted(server):
    client = Grpc(server.grpc_target)
    large = {"x": np.zeros(LIMIT // 2, np.float32)}
    with pytest.raises(grpc.RpcError) as caught:
        client.predict("half_plus_two", large)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_gzip_bomb_when_sent_then_is_not_unpacked_beyond_the_limit(server):
    bomb = gzip.compress(b"[" * (512 * LIMIT // 8), 9)
    assert len(bomb) < LIMIT
    before = resident(server)
    for _ in range(4):
        with connect(server.rest_port) as connection:
            lines = [f"POST {hostile.PREDICT} HTTP/1.1", "Content-Encoding: gzip"]
            lines += [f"Content-Length: {len(bomb)}", "Connection: close"]
            connection.sendall(
                ("\r\n".join(lines) + "\r\n" + hostile.HOST + "\r\n").encode() + bomb
            )
            (status,) = statuses(read_all(connection))
        assert 400 <= status < 500
    assert resident(server) - before < 48 * LIMIT


@pytest.mark.parametrize(
    "piece", [b"X-Flood: " + b"a" * 8000 + b"\r\n", b"a" * 65536], ids=["lines", "one line"]
)
def test_headers_when_without_end_then_the_connection_is_closed(server, piece):
    before = resident(server)
    with connect(server.rest_port) as connection:
        connection.sendall(f"POST {hostile.PREDICT} HTTP/1.1\r\n{hostile.HOST}X: ".encode())
        flood(connection, piece)
        found = statuses(read_all(connection))
    assert found in ([431], [400], []), found
    assert resident(server) - before < 64 * LIMIT


@pytest.mark.parametrize("part", ["nothing", "head", "body"])
def test_senders_when_slow_then_are_given_up(server, good_clients, part):
    head = f"POST {hostile.PREDICT} HTTP/1.1\r\n{hostile.HOST}"
    whole = {
        "nothing": "",
        "head": head + "X: " + "a" * 10_000,
        "body": f"{head}Content-Length: {LIMIT}\r\n\r\n" + " " * LIMIT,
    }[part]
    connections = [connect(server.rest_port) for _ in range(40)]
    starts = {"nothing": 0, "head": 20, "body": whole.find("\r\n\r\n") + 4}
    try:
        for connection in connections:
            connection.sendall(whole[: starts[part]].encode())
            connection.setblocking(False)
        open_ones = dict.fromkeys(connections, starts[part])
        found = []

        def are_given_up():
            for connection, at in list(open_ones.items()):
                try:
                    if part != "nothing":  # a byte now and then keeps it from being idle
                        connection.send(whole[at : at + 1].encode())
                        open_ones[connection] = at + 1
                    data = connection.recv(65536)
                except BlockingIOError:
                    continue
                except OSError:
                    data = b""
                found.extend(statuses(data))
                if not data:
                    del open_ones[connection]
            return not open_ones

        server.wait_until(are_given_up, f"end of {len(connections)} slow connections")
    finally:
        for connection in connections:
            connection.close()
    assert all(400 <= status < 500 for status in found), found
    good_clients.wait_for_more()


def test_clients_when_they_vanish_in_the_middle_then_nothing_is_left_of_them(server):
    linger = struct.pack("ii", 1, 0)  # close by a reset
    for number in range(200):
        with connect(server.rest_port) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.sendall(hostile.GOOD_HTTP[: number % len(hostile.GOOD_HTTP) + 1])

    def are_gone():
        kept = [
            connection
            for process in family(server)
            for connection in process.net_connections("tcp")
            if connection.laddr.port == server.rest_port
            and connection.status == psutil.CONN_ESTABLISHED
        ]
        return len(kept) < 20  # those of the good clients, and of this look

    server.wait_until(are_gone, "the end of reset connections")


@pytest.mark.parametrize("port", ["rest_port", "grpc_port"])
def test_the_other_protocol_when_spoken_then_the_connection_ends(server, port):
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    for data in (
        preface + os.urandom(64),
        b"\x16\x03\x01" + os.urandom(64),
        hostile.GOOD_HTTP,
        preface + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" + b"\x00\xff\xff\x01\x05\x00\x00\x00\x01",
    ):
        with connect(getattr(server, port)) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            found = statuses(read_all(connection))
        assert all(status in (200, 400, 404) for status in found), (data, found)


def test_metadata_when_large_then_the_call_is_refused(server):
    client = Grpc(server.grpc_target)
    request = predict_request("half_plus_two", {"x": floats(1.0)})
    with pytest.raises(grpc.RpcError) as caught:
        client.prediction.Predict(request, PATIENCE, metadata=[("flood", "a" * (256 << 10))])
    assert caught.value.code() in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL)


def test_idle_connections_when_many_then_good_requests_are_answered(server, good_clients):
    began = time.monotonic()
    connections = [connect(server.rest_port) for _ in range(300)]
    connections += [connect(server.grpc_port) for _ in range(300)]
    good_clients.wait_for_more(20)
    assert time.monotonic() - began < PATIENCE
    for connection in connections:
        connection.close()
