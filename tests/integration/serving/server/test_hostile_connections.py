"""Connections that are slow, idle, many, cut off or of another protocol."""

import os
import socket
import struct
import time

import psutil
import pytest

from tests.integration.serving.server import hostile
from tests.integration.serving.server.attacked import (
    LIMIT,
    PATIENCE,
    connect,
    flood,
    read_all,
    statuses,
)
from tests.integration.serving.server.conftest import family, resident

pytestmark = pytest.mark.usefixtures("good_clients")


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


def test_idle_connections_when_many_then_good_requests_are_answered(server, good_clients):
    began = time.monotonic()
    connections = [connect(server.rest_port) for _ in range(300)]
    connections += [connect(server.grpc_port) for _ in range(300)]
    good_clients.wait_for_more(20)
    assert time.monotonic() - began < PATIENCE
    for connection in connections:
        connection.close()
