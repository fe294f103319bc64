"""TLS by either protocol: who is trusted, who is asked for a certificate, what is said if not."""

from __future__ import annotations

import ssl
from pathlib import Path

import grpc
import pytest
from grpc import StatusCode

from serving.client import TLS, RetryPolicy, ServingClientError

ONCE = RetryPolicy(max_attempts=1)


@pytest.fixture
def start_secure(protocol, start, certificates):
    """Starts a server with TLS, which may ask for the client's certificate."""
    cert, key, ca = (certificates / name for name in ("server.pem", "server.key", "ca.pem"))

    def start_one(*, asks_for_certificate: bool = False) -> int:
        if protocol == "rest":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(cert, key)
            if asks_for_certificate:
                context.load_verify_locations(ca)
                context.verify_mode = ssl.CERT_REQUIRED
            return start(context=context)
        credentials = grpc.ssl_server_credentials(
            [(key.read_bytes(), cert.read_bytes())],
            ca.read_bytes() if asks_for_certificate else None,
            asks_for_certificate,
        )
        return start(credentials=credentials)

    return start_one


def test_tls_when_the_authority_is_known_then_answered(
    start_secure, connected, certificates
) -> None:
    client = connected(start_secure(), tls=TLS(ca=certificates / "ca.pem"))
    assert client.predict({"x": [[1, 2]]}, signature="one")["only"].tolist() == [3.0]


@pytest.mark.parametrize("ca", ["other.pem", None])
def test_tls_when_the_authority_is_another_then_unavailable(
    start_secure, connected, certificates, ca
) -> None:
    tls = TLS(ca=certificates / ca if ca else None)
    with pytest.raises(ServingClientError, match=r"CERTIFICATE_VERIFY_FAILED|handshake") as caught:
        connected(start_secure(), tls=tls, retry=ONCE).status()
    assert caught.value.code is StatusCode.UNAVAILABLE


def test_tls_when_the_server_asks_then_the_client_shows_its_certificate(
    start_secure, connected, certificates
) -> None:
    port = start_secure(asks_for_certificate=True)
    ca, cert, key = (certificates / name for name in ("ca.pem", "client.pem", "client.key"))
    assert connected(port, tls=TLS(ca, cert, key)).status()
    with pytest.raises(ServingClientError) as caught:
        connected(port, tls=TLS(ca), retry=ONCE).status()
    assert caught.value.code is StatusCode.UNAVAILABLE


def test_tls_when_a_key_comes_without_a_certificate_then_refused() -> None:
    with pytest.raises(ValueError, match="found one of cert and key; allowed: both or neither"):
        TLS(key=Path("client.key"))


@pytest.mark.parametrize("protocol", ["rest", "grpc"], indirect=True)
def test_tls_when_a_file_is_missing_or_broken_then_said_at_once(connected, tmp_path) -> None:
    with pytest.raises(FileNotFoundError):
        connected(1, tls=TLS(ca=tmp_path / "nowhere.pem"))
    (tmp_path / "broken.pem").write_text("no certificate")
    with pytest.raises(ssl.SSLError):
        connected(1, tls=TLS(ca=tmp_path / "broken.pem"))
