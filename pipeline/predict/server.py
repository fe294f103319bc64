"""The server that a command's options name, and the model on it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config_file import ConfigError, Problem
from pipeline.served_model import model_folder

if TYPE_CHECKING:
    from serving.client import RetryPolicy, ServingClient


@dataclass(frozen=True)
class ServerOptions:
    """Where a server is, and how it is reached.

    Attributes:
        url: of REST.
        grpc: `host:port` of gRPC.
        tls: for gRPC, whose addresses do not say so; implied by any of the files.
        ca, cert, key: files in PEM.
    """

    url: str | None
    grpc: str | None
    tls: bool = False
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    @property
    def is_given(self) -> bool:
        """Whether there is a server to ask.

        Raises:
            ConfigError: if both protocols are named.
        """
        if self.url is not None and self.grpc is not None:
            raise ConfigError(Problem("predict", "--url, --grpc", "both", "one of them"))
        return self.url is not None or self.grpc is not None

    def connect(self, model: str, retry: RetryPolicy) -> ServingClient:
        """Returns a client for a model on the server; nothing is asked yet.

        Raises:
            ConfigError: if the address is none, or a file of TLS cannot be used.
        """
        from serving.client import TLS, GrpcClient, RestClient

        try:
            tls = TLS(self.ca, self.cert, self.key)
            if self.url is not None:
                return RestClient(self.url, model, retry=retry, tls=tls)
            assert self.grpc is not None
            is_secure = self.tls or any((self.ca, self.cert, self.key))
            return GrpcClient(self.grpc, model, retry=retry, tls=tls if is_secure else None)
        except (OSError, ssl.SSLError) as error:
            files = ", ".join(str(path) for path in (self.ca, self.cert, self.key) if path)
            problem = Problem(files, "--ca, --cert, --key", str(error), "certificates in PEM")
            raise ConfigError(problem) from error
        except ValueError as error:
            where, _, found = str(error).partition(": found ")
            found, _, allowed = found.partition("; allowed: ")
            raise ConfigError(Problem("predict", f"--{where.lower()}", found, allowed)) from error


def served_name(model: str, overrides: list[str]) -> tuple[str, int | None]:
    """Returns the name that a server has for a model, and the version, if `model` is one's folder.

    Args:
        model: a configuration's file, a model's folder, or a version's folder.

    Raises:
        ConfigError: if it is none of these.
    """
    path = Path(model)
    if (path / "saved_model.pb").is_file():
        folder = path.resolve()
        return folder.parent.name, int(folder.name) if folder.name.isdecimal() else None
    return model_folder(model, overrides).resolve().name, None
