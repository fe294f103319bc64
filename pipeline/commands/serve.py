"""`tapeline serve`: answer requests for the pushed models, by the best server that is here."""

from __future__ import annotations

import enum
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from pipeline.commands.arguments import Set
from pipeline.config_file import ConfigError, Problem, load_config


class Backend(str, enum.Enum):
    """serving.launch.BACKENDS; that module brings protobuf along, which --help does without."""

    tensorflow_model_server = "tensorflow_model_server"
    docker = "docker"
    embedded = "embedded"


_Port = typer.Option(min=1, max=65535)


def serve(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="CONFIG of a run, a model's folder, or a serving directory."
        ),
    ],
    set_: Set = None,
    backend: Annotated[
        Optional[Backend], typer.Option(help="The first of these that is here, if none is named.")
    ] = None,
    rest_port: Annotated[int, _Port] = 8501,
    grpc_port: Annotated[int, _Port] = 8500,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    processes: Annotated[
        Optional[int], typer.Option(min=1, help="Of the embedded server, sharing its ports.")
    ] = None,
) -> None:
    """Serve every model of a serving directory, over REST and gRPC, until interrupted.

    TF Serving on PATH is preferred, then its image where a docker engine answers, then the embedded
    server; all three get the same files. What is pushed, promoted or rolled back while it runs
    reaches it within seconds.

    Example: tapeline serve configs/digits.yaml
    """
    from serving.launch import Addresses, NoSuchBackend, plan_launch
    from serving.serving_root import IncompleteRoot, root_of

    if rest_port == grpc_port:
        raise ConfigError(
            Problem("serve", "--rest-port", f"{rest_port}, as --grpc-port", "another port")
        )
    path = Path(model)
    try:
        root = root_of(path) if path.is_dir() else load_config(model, set_ or []).serving_root
        addresses = Addresses(host, rest_port, grpc_port)
        launch = plan_launch(root, addresses, backend.value if backend else None, processes)
    except IncompleteRoot as error:
        raise ConfigError(Problem(model, "MODEL", error.found, error.allowed)) from error
    except NoSuchBackend as error:
        raise ConfigError(
            Problem("serve", "--backend", str(error), "one that is here, or none for the best")
        ) from error
    print(f"backend  {launch.backend}: {launch.reason}", file=sys.stderr)
    for warning in launch.warnings:
        print(f"warning  {warning}", file=sys.stderr)
    print(f"command  {shlex.join(launch.command)}", file=sys.stderr)
    print(f"REST     {addresses.url}")
    print(f"gRPC     {addresses.target}")
    for served in launch.models:
        print(f"status   {addresses.status_command(served.name)}")
    sys.stdout.flush()
    # In place of this process: signals reach the server, and its exit code is this command's.
    try:
        os.execv(launch.command[0], launch.command)  # noqa: S606
    except OSError as error:
        found = f"{launch.command[0]}: {error.strerror}"
        raise ConfigError(
            Problem("serve", "--backend", found, "a program for this machine")
        ) from error
