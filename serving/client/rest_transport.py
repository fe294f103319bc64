"""HTTP/1.1 connections whose every wait ends by the deadline of the request they serve.

httpx bounds each connect, read and write alone, so a server that sends a byte now and then, headers
included, could hold a request without end. Here each of them is given what the whole request has
left.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import urllib.request
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any

import httpcore
import httpx

from serving.client.retries import Deadline

# A write of httpcore's is many sends, each with the whole timeout: one of so many bytes is one
# send, or one record of TLS.
_WRITE_SIZE = 16_384

# httpcore does the I/O of a request on the thread that asks.
_deadline: ContextVar[Deadline] = ContextVar("deadline")


@contextlib.contextmanager
def until(deadline: Deadline) -> Iterator[None]:
    """Gives the requests of the block, over any `DeadlineTransport`, their deadline."""
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)


class DeadlineTransport(httpx.BaseTransport):
    """Sends requests over connections that are kept, through the environment's proxy if it has one.

    What goes wrong is raised as httpcore's exceptions, or as the ServingClientError of a deadline
    that has passed. Requests are made within `until`.

    Args:
        url: of the server.
        context: for https.

    Raises:
        ValueError: if the environment names a proxy for `url` that is none of HTTP.
    """

    def __init__(self, url: httpx.URL, context: ssl.SSLContext | None) -> None:
        limits: dict[str, Any] = {
            "ssl_context": context,
            "max_connections": 100,
            "max_keepalive_connections": 20,
            "keepalive_expiry": 5.0,
            "network_backend": _Backend(),
        }
        proxy = _proxy_of(url)
        self._pool: httpcore.ConnectionPool
        if proxy is None:
            self._pool = httpcore.ConnectionPool(**limits)
        else:
            self._pool = httpcore.HTTPProxy(
                _core_url(proxy.url),
                proxy_auth=proxy.raw_auth,
                **limits,
            )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.SyncByteStream)
        response = self._pool.handle_request(
            httpcore.Request(
                request.method,
                _core_url(request.url),
                headers=request.headers.raw,
                content=request.stream,
                extensions={"timeout": {"pool": _deadline.get().remaining()}},
            )
        )
        assert isinstance(response.stream, Iterable)
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_ResponseStream(response.stream),
            extensions=response.extensions,
        )

    def close(self) -> None:
        self._pool.close()


class _ResponseStream(httpx.SyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        self._stream.close()


class _Backend(httpcore.NetworkBackend):
    """Connects within the deadline, to whichever of a host's addresses answers."""

    def __init__(self) -> None:
        self._backend = httpcore.SyncBackend()

    def connect_tcp(self, host: str, port: int, *_: Any, **options: Any) -> httpcore.NetworkStream:
        options.pop("timeout", None)
        refused: Exception = httpcore.ConnectError(f"{host}: no address")
        for address in _addresses(host, port):
            try:
                timeout = _deadline.get().remaining()
                return _Stream(self._backend.connect_tcp(address, port, timeout, **options))
            except httpcore.ConnectError as error:
                refused = error
        raise refused


class _Stream(httpcore.NetworkStream):
    """A connection; each use of it has what is left of the request's time."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _deadline.get().remaining())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _WRITE_SIZE):
            piece = buffer[start : start + _WRITE_SIZE]
            self._stream.write(piece, _deadline.get().remaining())

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        remaining = _deadline.get().remaining()
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, remaining))

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _proxy_of(url: httpx.URL) -> httpx.Proxy | None:
    """Returns what `HTTP_PROXY` and its like say, unless `NO_PROXY` excepts the host."""
    proxies = urllib.request.getproxies()
    given = proxies.get(url.scheme) or proxies.get("all")
    if not given or urllib.request.proxy_bypass(url.netloc.decode()):
        return None
    proxy = httpx.Proxy(given if "://" in given else f"http://{given}")
    if proxy.url.scheme not in ("http", "https"):
        raise ValueError(f"url: found the proxy {given!r}; allowed: http://HOST:PORT")
    return proxy


def _core_url(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(
        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
    )
