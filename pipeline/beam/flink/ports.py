"""The ports of a local cluster."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Ports:
    """Where the cluster's processes listen, all on loopback.

    Attributes:
        rest: Flink's web page and REST interface.
        job: Beam's job server.
        worker_pool: of the workers that run Python.
        rpc: of the JobManager, for its TaskManagers.
    """

    rest: int = 8081
    job: int = 8099
    artifact: int = 8098
    expansion: int = 8097
    worker_pool: int = 50000
    rpc: int = 6123

    def taken(self) -> list[int]:
        """Returns those that somebody listens at already."""
        return [port for port in vars(self).values() if not _is_free(port)]


def free_ports() -> Ports:
    """Returns ports that nobody has at the moment."""
    with contextlib.ExitStack() as stack:
        # Held together, so that none is given out twice.
        sockets = [stack.enter_context(socket.socket()) for _ in vars(Ports())]
        for found in sockets:
            found.bind((HOST, 0))
        return Ports(*(found.getsockname()[1] for found in sockets))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
