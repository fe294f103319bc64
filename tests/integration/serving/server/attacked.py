"""A server that is attacked: its limits, raw connections to it, and good clients meanwhile."""

import http.client
import json
import re
import socket
import threading
from collections import Counter

import pytest

from tests.contract.clients import Grpc
from tests.contract.models import floats
from tests.integration.serving.server import hostile

LIMIT = 1 << 20
"""Bytes that the server takes in one request."""

TIMEOUT_MS = 2000
PATIENCE = 30.0
"""Seconds after which an answer counts as missing; the machine may be busy."""


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
