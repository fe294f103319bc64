"""The endpoint that the suite asks: a given one, or a server started on the suite's models.

The one module here that knows a server: the command it starts where TAPELINE_SERVER_COMMAND names
none. README.md has the variables.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from tests.contract.clients import Grpc, Rest
from tests.serving_process import ModelServer, start

Start = Callable[..., ModelServer]


@dataclass(frozen=True)
class Endpoint:
    """Where the suite's models are served."""

    rest_url: str
    grpc_target: str


def server_command(per_core: bool = False) -> list[str]:
    """Returns the command that takes tensorflow_model_server's flags.

    Args:
        per_core: the embedded server is to have a process for each core. Elsewhere it has one, as
            TF Serving has: what fills a batch or a queue must come to the same process.
    """
    given = os.environ.get("TAPELINE_SERVER_COMMAND")
    if given:
        return shlex.split(given)
    if os.environ.get("TAPELINE_REST_URL"):
        pytest.skip("TAPELINE_SERVER_COMMAND does not say how to start the endpoint's server")
    return [sys.executable, "-m", "serving.server", *([] if per_core else ["--processes=1"])]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the suite's models."""
    given = os.environ.get("TAPELINE_CONTRACT_MODELS")
    if given:
        return Path(given)
    from tests.contract.models import write_all

    return write_all(tmp_path_factory.mktemp("contract") / "models")


@pytest.fixture(scope="session")
def endpoint(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """The endpoint that serves the suite's models."""
    if os.environ.get("TAPELINE_REST_URL"):
        yield Endpoint(os.environ["TAPELINE_REST_URL"], os.environ["TAPELINE_GRPC_TARGET"])
        return
    flags = [
        f"--model_config_file={models}/models.config",
        f"--monitoring_config_file={models}/monitoring.config",
        "--allow_version_labels_for_unavailable_models",
    ]
    server = start(server_command(per_core=True), flags, tmp_path_factory.mktemp("endpoint"))
    try:
        server.wait_until_available("half_plus_two", 1, 2)
        for model in ("every_type", "sizes", "errors", "unrestored"):
            server.wait_until_available(model, 1)
        yield Endpoint(server.rest_url, server.grpc_target)
        assert server.process.poll() is None, f"the server is gone:\n{server.output()[-6000:]}"
    finally:
        server.stop()


@pytest.fixture(scope="session")
def rest(endpoint: Endpoint) -> Rest:
    return Rest(endpoint.rest_url)


@pytest.fixture(scope="session")
def grpc_client(endpoint: Endpoint) -> Iterator[Grpc]:
    with contextlib.closing(Grpc(endpoint.grpc_target)) as client:
        yield client


@pytest.fixture(scope="module")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts a server with tensorflow_model_server's flags on free ports, until the module ends."""
    started: list[ModelServer] = []

    def call(*flags: object, rest: bool = True, per_core: bool = False) -> ModelServer:
        folder = tmp_path_factory.mktemp("server")
        command = server_command(per_core)
        server = start(command, [str(flag) for flag in flags], folder, rest=rest)
        started.append(server)
        return server

    yield call
    for server in started:
        server.stop()


@pytest.fixture(scope="module")
def connect() -> Iterator[Callable[..., Grpc]]:
    """Makes gRPC clients, until the module ends."""
    made: list[Grpc] = []

    def call(target: str, credentials: grpc.ChannelCredentials | None = None) -> Grpc:
        made.append(Grpc(target, credentials))
        return made[-1]

    yield call
    for client in made:
        client.close()


@pytest.fixture(scope="module")
def put_version(models: Path) -> Callable[..., Path]:
    """Copies one of the suite's models to BASE/VERSION, visible all at once."""

    def call(base: Path, version: int, model: str = "half_plus_two", of: int = 1) -> Path:
        base.mkdir(parents=True, exist_ok=True)
        staged = base / f".staged-{version}"
        shutil.copytree(models / model / str(of), staged)
        return staged.rename(base / str(version))

    return call


@pytest.fixture(scope="session")
def refused() -> Callable[..., str]:
    """Holds that an RPC fails with a code, and returns the message."""

    def call(code: grpc.StatusCode, method: Callable, *arguments: object, **options: object) -> str:
        with pytest.raises(grpc.RpcError) as caught:
            method(*arguments, **options)
        assert caught.value.code() == code, caught.value
        return caught.value.details()

    return call
