"""TLS by `--ssl_config_file`: gRPC with the server's certificate, and with the client's."""

from contextlib import closing

import grpc
import pytest
import trustme

from tests.contract.clients import Grpc
from tests.contract.models import floats

X = {"x": floats(1.0)}


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def quoted(pem):
    """Returns a PEM as a string of protobuf's text format."""
    return '"' + pem.decode().replace("\n", "\\n") + '"'


@pytest.fixture(scope="module", params=[False, True], ids=["server's", "client's too"])
def secured(request, authority, models, start_server, tmp_path_factory):
    """A server with a certificate, and whether it wants the client's."""
    issued = authority.issue_cert("localhost", "127.0.0.1")
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    text = [
        f"server_key: {quoted(issued.private_key_pem.bytes())}",
        f"server_cert: {quoted(chain)}",
    ]
    if request.param:
        text += [f"custom_ca: {quoted(authority.cert_pem.bytes())}", "client_verify: true"]
    path = tmp_path_factory.mktemp("tls") / "ssl.config"
    path.write_text("\n".join(text))
    server = start_server(
        "--model_name=one", f"--model_base_path={models}/half_plus_two", f"--ssl_config_file={path}"
    )
    return server, request.param


def credentials(authority, with_client=False):
    client = authority.issue_cert("client@example.org") if with_client else None
    return grpc.ssl_channel_credentials(
        authority.cert_pem.bytes(),
        client.private_key_pem.bytes() if client else None,
        client.cert_chain_pems[0].bytes() if client else None,
    )


def is_served(server, given):
    """Says whether a client with these credentials is answered."""
    with closing(Grpc(server.grpc_target, given)) as client:
        try:
            return bool(client.predict("one", X, timeout=2).outputs)
        except grpc.RpcError:
            return False


def test_a_client_when_it_trusts_the_authority_then_is_served(secured, authority):
    server, wants_client = secured
    given = credentials(authority, with_client=wants_client)
    server.wait_until(lambda: is_served(server, given), "an answer over TLS")


def test_a_client_when_not_fit_for_tls_then_is_not_served(secured, authority):
    server, wants_client = secured
    given = credentials(authority, with_client=wants_client)
    server.wait_until(lambda: is_served(server, given), "an answer over TLS")
    assert not is_served(server, None)
    assert not is_served(server, credentials(trustme.CA(), with_client=wants_client))
    if wants_client:
        assert not is_served(server, credentials(authority)), "without a certificate of its own"
    assert is_served(server, given)
