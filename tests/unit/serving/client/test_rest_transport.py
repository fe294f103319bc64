"""Connections that end by a deadline, whatever a peer does, and go through a proxy."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import httpcore
import httpx
import pytest
from grpc import StatusCode

from serving.client import RestClient, RetryPolicy, ServingClientError
from serving.client.rest_transport import DeadlineTransport, until
from serving.client.retries import Deadline

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@contextlib.contextmanager
def peer(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Listens on loopback and serves one connection; yields the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    serve(connection)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_request_when_the_peer_takes_it_in_sips_then_ends_by_the_deadline() -> None:
    over = threading.Event()
    body = bytes(2**26)
    sips: list[int] = []

    def sip(connection: socket.socket) -> None:
        """Takes all of it in five seconds, and answers."""
        while sum(sips) < len(body) and not over.wait(0.02):
            sips.append(len(connection.recv(262_144)))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with peer(sip) as port:
        url = httpx.URL(f"http://127.0.0.1:{port}")
        try:
            with (
                httpx.Client(transport=DeadlineTransport(url, None)) as client,
                pytest.raises((ServingClientError, httpcore.TimeoutException)),
                until(Deadline(0.5)),
            ):
                client.post(url, content=body)
            # By half: the last of it waits in buffers of the kernel, sent but not taken.
            assert sum(sips) < len(body) / 2
        finally:
            over.set()


def answer_not_found(lines: list[bytes]) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        with connection.makefile("rb") as file:
            lines.append(file.readline())
            while file.readline().strip():
                pass
        connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    return serve


def status_of(url: str) -> StatusCode:
    with RestClient(url, "m", retry=RetryPolicy(max_attempts=1), timeout=30) as client:
        with pytest.raises(ServingClientError) as caught:
            client.status()
        return caught.value.code


def test_request_when_the_environment_names_a_proxy_then_sent_through_it(monkeypatch) -> None:
    lines: list[bytes] = []
    with peer(answer_not_found(lines)) as port:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        assert status_of("http://model.invalid:8501") is StatusCode.NOT_FOUND
    assert lines == [b"GET http://model.invalid:8501/v1/models/m HTTP/1.1\r\n"]


def test_request_when_the_proxy_is_not_for_the_host_then_sent_there(
    monkeypatch, closed_port
) -> None:
    lines: list[bytes] = []
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port}")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with peer(answer_not_found(lines)) as port:
        assert status_of(f"http://127.0.0.1:{port}") is StatusCode.NOT_FOUND
    assert lines == [b"GET /v1/models/m HTTP/1.1\r\n"]


def test_client_when_the_proxy_is_not_of_http_then_refused(monkeypatch) -> None:
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:1080")
    with pytest.raises(ValueError, match=r"url: found the proxy 'socks5://.*; allowed: http://"):
        RestClient("http://model.invalid:8501", "m")


def test_request_when_the_host_has_no_address_then_unavailable() -> None:
    assert status_of("http://model.invalid:8501") is StatusCode.UNAVAILABLE
