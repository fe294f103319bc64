"""Arguments of the commands that ask Kubeflow, and the request that they make."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from pipeline.config_file import ConfigError, Problem
from pipeline.runners.kubeflow import submitter
from pipeline.runners.kubeflow.package import Package

ENDPOINT = "KF_PIPELINES_ENDPOINT"

Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="Of `tapeline compile --target kubeflow`.")
]
Host = Annotated[
    Optional[str],
    typer.Option(
        metavar="URL",
        help="The API server: http://localhost:8888. Else orchestration.kubeflow.host, else "
        f"{ENDPOINT}.",
    ),
]
Experiment = Annotated[
    Optional[str],
    typer.Option(
        metavar="NAME",
        help="What the runs are filed under. Else orchestration.kubeflow.experiment, else the "
        "pipeline's name.",
    ),
]
Parameter = Annotated[
    Optional[list[str]],
    typer.Option("--parameter", metavar="NAME=VALUE", help="As --parameter span=2026-11-28."),
]
AsJson = Annotated[bool, typer.Option("--json", help="End stdout with one line of JSON.")]


def host_of(package: Package, host: str | None) -> str:
    """Returns the address of the API server.

    Raises:
        ConfigError: if it is nowhere, or none that a request can be sent to.
    """
    found = host or package.config.host or os.environ.get(ENDPOINT)
    allowed = f"http://HOST:PORT or https://..., here, in orchestration.kubeflow.host or {ENDPOINT}"
    if not found:
        raise ConfigError(Problem("kubeflow", "--host", "nothing", allowed))
    if not re.fullmatch(r"https?://[^\s@]+", found):
        # An address with a password in it would be in `ps`, and here on the screen.
        shown = "an address with a user in it" if "@" in found else found
        raise ConfigError(Problem("kubeflow", "--host", shown, allowed))
    return found.rstrip("/")


def request_for(
    package: Package, action: str, host: str | None, experiment: str | None
) -> dict[str, Any]:
    """Returns what every request to the submission program says."""
    config = package.config
    return {
        "action": action,
        "host": host_of(package, host),
        "namespace": config.namespace,
        "ca_file": config.ca_file and str(Path(config.ca_file).expanduser().absolute()),
        "experiment": experiment or config.experiment or package.name,
    }


def pipeline_part(
    package: Package, parameters: list[str] | None, *, scheduled: bool
) -> dict[str, Any]:
    """Returns what a request says that hands the pipeline over."""
    return {
        "package": str(package.file),
        "parameters": package.values(parameters or [], scheduled=scheduled),
        "service_account": package.config.service_account,
    }


def _nothing(_progress: dict[str, Any]) -> None:
    """For requests that are answered at once."""


def answer_to(
    request: dict[str, Any],
    on_refusal: Callable[[submitter.Refusal], None],
    on_progress: Callable[[dict[str, Any]], None] = _nothing,
) -> dict[str, Any]:
    """Returns the result of a request; says on stderr why there is none, with exit code 1."""
    try:
        return submitter.ask(request, on_progress, submitter.KFP_PYTHON)
    except submitter.Refusal as refusal:
        on_refusal(refusal)
        print(f"error: {refusal}", file=sys.stderr)
        raise typer.Exit(1) from refusal
