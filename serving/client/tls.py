"""How a client knows its server by TLS, and how the server may know the client."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc


@dataclass(frozen=True)
class TLS:
    """Files in PEM; an empty one is TLS with the certificate authorities of the system.

    Attributes:
        ca: certificates of the authorities that may have signed the server's.
        cert, key: the client's own certificate and its private key, where the server asks for one.

    Raises:
        ValueError: if only one of `cert` and `key` is given.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        if (self.cert is None) != (self.key is None):
            raise ValueError("TLS: found one of cert and key; allowed: both or neither")

    def context(self) -> ssl.SSLContext:
        """Returns the context for HTTPS.

        Raises:
            OSError: if a file cannot be read; `ssl.SSLError` if it holds something else.
        """
        context = ssl.create_default_context(cafile=self.ca)
        if self.cert is not None:
            context.load_cert_chain(self.cert, self.key)
        return context

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """Returns the credentials for a gRPC channel.

        Raises:
            OSError: if a file cannot be read; `ssl.SSLError` if it holds something else.
        """
        # gRPC says nothing of a broken file but that it cannot connect.
        self.context()
        parts = [path.read_bytes() if path else None for path in (self.ca, self.key, self.cert)]
        return grpc.ssl_channel_credentials(*parts)
