"""The model and the server that a command's arguments name."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config_file import ConfigError, Problem
from pipeline.served_model import model_folder, version_folder

if TYPE_CHECKING:
    from serving.client import RetryPolicy, ServingClient

_WHERE = "command line"


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
            raise ConfigError(Problem(_WHERE, "--url, --grpc", "both", "one of them"))
        return self.url is not None or self.grpc is not None

    @property
    def is_secure_grpc(self) -> bool:
        """Whether gRPC is asked over TLS."""
        return self.tls or any((self.ca, self.cert, self.key))

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
            secured = tls if self.is_secure_grpc else None
            return GrpcClient(self.grpc, model, retry=retry, tls=secured)
        except (OSError, ssl.SSLError) as error:
            files = ", ".join(str(path) for path in (self.ca, self.cert, self.key) if path)
            problem = Problem(files, "--ca, --cert, --key", str(error), "certificates in PEM")
            raise ConfigError(problem) from error
        except ValueError as error:
            where, _, found = str(error).partition(": found ")
            found, _, allowed = found.partition("; allowed: ")
            raise ConfigError(Problem(_WHERE, f"--{where.lower()}", found, allowed)) from error


@dataclass(frozen=True)
class Asked:
    """Which model, as the arguments say it.

    Attributes:
        model: MODEL, a place on this machine.
        name: on the server, in place of MODEL.
    """

    model: str | None
    name: str | None
    overrides: list[str]
    version: int | None
    label: str | None
    server: ServerOptions

    def check(self, needs_server: bool = True) -> None:
        """Raises ConfigError if the arguments contradict each other.

        Args:
            needs_server: whether a name, a version or a label means nothing without a server.
        """
        if self.model is None and self.name is None:
            raise ConfigError(Problem(_WHERE, "MODEL", "none", "MODEL, or --model NAME"))
        if self.version is not None and self.label is not None:
            raise ConfigError(Problem(_WHERE, "--version, --label", "both", "one of them"))
        has_server = self.server.is_given
        chosen = {"--model": self.name, "--version": self.version, "--label": self.label}
        given = ", ".join(name for name, value in chosen.items() if value is not None)
        if given and needs_server and not has_server:
            allowed = "with --url or --grpc; else a version's folder as MODEL"
            raise ConfigError(Problem(_WHERE, given, "no server", allowed))

    def folder(self) -> Path:
        """Returns the version's folder on this machine.

        Raises:
            ConfigError: if there is none, or no MODEL that leads to it.
        """
        if self.model is None:
            allowed = "with MODEL, a version of which says what it was trained on"
            raise ConfigError(Problem(_WHERE, "--sample", f"--model {self.name}", allowed))
        return version_folder(self.model, self.overrides)

    def on_server(self) -> tuple[str, int | None]:
        """Returns the model's name on the server, and its version if one is named.

        Raises:
            ConfigError: if MODEL leads to no model.
        """
        if self.name is not None:
            return self.name, self.version
        name, version = served_name(str(self.model), self.overrides)
        is_named = self.version is not None or self.label is not None
        return name, self.version if is_named else version


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
