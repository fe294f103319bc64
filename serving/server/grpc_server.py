"""The gRPC server under the services: limits, TLS, and its part of a shared port."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc

from serving.server.errors import ServingError
from serving.server.grpc_services import GrpcServices


class GrpcServer:
    """Serves on a port that other processes may have as well; made on the loop it runs on.

    Args:
        max_message_bytes: of a request; larger ones get RESOURCE_EXHAUSTED.
        arguments: channel arguments, over those of this class.
        credentials: None for plain text.
    """

    def __init__(
        self,
        services: GrpcServices,
        max_message_bytes: int = 64 << 20,
        arguments: Sequence[tuple[str, int | str]] = (),
        credentials: Any | None = None,
    ) -> None:
        options = {
            "grpc.so_reuseport": 1,
            "grpc.max_receive_message_length": max_message_bytes,
            "grpc.max_send_message_length": -1,
            # Clients that ping often are told so, not cut off.
            "grpc.http2.min_ping_interval_without_data_ms": 5000,
            **dict(arguments),
        }
        self._server = grpc.aio.server(options=list(options.items()))
        self._server.add_generic_rpc_handlers(services.handlers())
        self._credentials = credentials

    async def start(self, host: str, port: int) -> int:
        """Begins to serve; returns the port.

        Raises:
            ServingError: UNAVAILABLE if the port cannot be opened.
        """
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            if self._credentials is None:
                bound = self._server.add_insecure_port(address)
            else:
                bound = self._server.add_secure_port(address, self._credentials)
        except RuntimeError:
            bound = 0
        if not bound:
            reason = " or --ssl_config_file is broken" if self._credentials else ""
            raise ServingError(
                grpc.StatusCode.UNAVAILABLE, f"gRPC cannot listen on {address}{reason}"
            )
        await self._server.start()
        return bound

    async def drain(self, seconds: float) -> None:
        """Stops accepting, and returns when what has begun is answered or the time is over."""
        await self._server.stop(seconds)
