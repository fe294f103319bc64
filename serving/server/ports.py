"""The ports of a server, reserved by its first process for those that serve."""

from __future__ import annotations

import contextlib
import socket

from serving.server.flags import Flags, InvalidFlags


class PortTaken(RuntimeError):
    """A port that another server has, or that may not be opened."""


class Reserved:
    """The server's ports, held by sockets that do not listen; a context manager.

    Attributes:
        address: the numeric one of `--host`.
        port: of gRPC.
        rest_port: None if REST is off.

    Raises:
        InvalidFlags: if the host has no address.
        PortTaken: if a port cannot be had.
    """

    def __init__(self, flags: Flags) -> None:
        self._sockets: list[socket.socket] = []
        self._family, self.address = _resolve(flags.host)
        try:
            self.port = self._reserve("port", flags.port)
            self.rest_port = None
            if flags.rest_api_port:
                port = max(0, flags.rest_api_port)  # to the kernel 0 is a free one
                self.rest_port = self._reserve("rest_api_port", port)
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Reserved:
        return self

    def __exit__(self, *_: object) -> None:
        for held in self._sockets:
            with contextlib.suppress(OSError):
                held.close()

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        rest = "" if self.rest_port is None else f"REST on http://{host}:{self.rest_port}, "
        return f"{rest}gRPC on {host}:{self.port}"

    def _reserve(self, flag: str, port: int) -> int:
        """Returns the port, held so that only processes of this user that share it may have it.

        It is bound alone at first: to bind it shared would succeed beside another server that
        shares its port as well. Processes may join from then on.
        """
        held = socket.socket(self._family, socket.SOCK_STREAM)
        self._sockets.append(held)
        try:
            try:
                held.bind((self.address, port))
            except OSError:
                # Connections of a server that has just ended may linger on the port.
                held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                held.bind((self.address, port))
        except OSError as error:
            raise PortTaken(
                f"--{flag}: port {port} of {self.address} cannot be had: {error.strerror}"
            ) from error
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        return held.getsockname()[1]


def _resolve(host: str) -> tuple[socket.AddressFamily, str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise InvalidFlags(
            f"--host: found {host!r}; allowed: a name or address of this machine"
        ) from error
    family, _, _, _, address = found[0]
    return family, str(address[0])
