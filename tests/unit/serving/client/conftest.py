"""A fake server, clients of it by both protocols, and certificates for them."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme

from serving.client import GrpcClient, RestClient, RetryPolicy, ServingClient
from tests.unit.serving.client.fake_server import Model, grpc_server, rest_server

FAST = RetryPolicy(max_attempts=None, initial_backoff=0.01, max_backoff=0.05)


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture(params=["rest", "grpc"])
def protocol(request) -> str:
    return request.param


def connect(protocol: str, port: int, name: str = "model", **options: Any) -> ServingClient:
    options = {"retry": FAST, "timeout": 30.0, **options}
    if protocol == "grpc":
        return GrpcClient(f"127.0.0.1:{port}", name, **options)
    scheme = "https" if "tls" in options else "http"
    return RestClient(f"{scheme}://127.0.0.1:{port}", name, **options)


@pytest.fixture
def start(protocol, model):
    """Starts servers; returns the port of each."""
    with contextlib.ExitStack() as stack:

        def start_one(**options: Any) -> int:
            server = rest_server if protocol == "rest" else grpc_server
            return stack.enter_context(server(model, **options))

        yield start_one


@pytest.fixture
def connected(protocol):
    """Makes clients of the server at a port."""
    with contextlib.ExitStack() as stack:

        def make(port: int, name: str = "model", **options: Any) -> ServingClient:
            return stack.enter_context(connect(protocol, port, name, **options))

        yield make


@pytest.fixture
def make_client(start, connected, model):
    """Makes clients of a running server."""
    port = start()
    yield lambda name="model", **options: connected(port, name, **options)
    # Before the clients close: they wait for what hangs.
    model.over.set()


@pytest.fixture
def client(make_client) -> ServingClient:
    return make_client()


@pytest.fixture
def fault(protocol):
    """Makes the failure of a canonical code, as the protocol tells it."""
    statuses = {
        "UNAVAILABLE": 503,
        "RESOURCE_EXHAUSTED": 429,
        "INVALID_ARGUMENT": 400,
        "NOT_FOUND": 404,
        "INTERNAL": 500,
        "PERMISSION_DENIED": 403,
    }

    def make(code: str, message: str = "", headers: dict[str, str] | None = None) -> tuple:
        if protocol == "rest":
            return statuses[code], message, headers or {}
        return grpc.StatusCode[code], message

    return make


@pytest.fixture
def closed_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory) -> Path:
    """ca.pem, server.pem and .key for 127.0.0.1, client.pem and .key, and other.pem, of no use."""
    authority = trustme.CA()
    folder = tmp_path_factory.mktemp("tls")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    trustme.CA().cert_pem.write_to_path(folder / "other.pem")
    for name, identity in (("server", "127.0.0.1"), ("client", "client@example.org")):
        certificate = authority.issue_cert(identity)
        certificate.private_key_pem.write_to_path(folder / f"{name}.key")
        certificate.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
    return folder
