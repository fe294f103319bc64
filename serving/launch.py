"""Which server serves a serving directory here, and the command that starts it.

    launch = plan_launch(Path("runs/digits/serving"), Addresses(), backend=None)
    os.execvp(launch.command[0], launch.command)

There are three, and all take the same flags and the same files: TF Serving installed on this
machine, TF Serving's image where a docker engine answers, and the embedded server.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from serving.serving_root import ServedModel, served_models
from serving.text_configs import BATCHING_FILE, MODELS_FILE, MONITORING_FILE

BINARY = "tensorflow_model_server"
DOCKER = "docker"
EMBEDDED = "embedded"
BACKENDS = (BINARY, DOCKER, EMBEDDED)

IMAGE = "tensorflow/serving:2.16.1"
CONTAINER_USER = "10001:10001"
"""Whom a container's server runs as where its caller is root; it reads, so it need own nothing."""

_ENGINE_TIMEOUT = 5.0  # seconds
_GRPC_PORT, _REST_PORT = 8500, 8501


class NoSuchBackend(RuntimeError):
    """The backend that was asked for cannot run here; the message says what was found."""


@dataclass(frozen=True)
class Addresses:
    """Where a server listens."""

    host: str = "127.0.0.1"
    rest_port: int = _REST_PORT
    grpc_port: int = _GRPC_PORT

    @property
    def url(self) -> str:
        return f"http://{_in_url(self.host)}:{self.rest_port}"

    @property
    def target(self) -> str:
        return f"{_in_url(self.host)}:{self.grpc_port}"

    def status_command(self, model: str) -> str:
        """Returns the line of shell that asks for the state of a model's versions."""
        return f"curl -s {self.url}/v1/models/{model}"


@dataclass(frozen=True)
class Launch:
    """A server that can be started here.

    Attributes:
        backend: one of `BACKENDS`.
        reason: why this one.
        command: the program's path and its arguments.
        warnings: what the caller asked for that this backend does not do.
    """

    backend: str
    reason: str
    command: list[str]
    models: tuple[ServedModel, ...]
    warnings: tuple[str, ...] = ()


def plan_launch(
    root: Path, addresses: Addresses, backend: str | None = None, processes: int | None = None
) -> Launch:
    """Returns how to serve a serving directory.

    Args:
        root: the serving directory; made absolute.
        backend: one of `BACKENDS`; None for the first of them that there is.
        processes: of the embedded server; None for its own choice. TF Serving takes every core
            with one.

    Raises:
        serving.serving_root.IncompleteRoot: if the directory lacks what a server is started with.
        NoSuchBackend: if `backend` is not here.
    """
    root = root.resolve()
    models = served_models(root)
    backend, reason, program = _choose(backend)
    flags = server_flags(root, addresses.grpc_port, addresses.rest_port)
    warnings: list[str] = []
    if backend == BINARY:
        command = [program, *flags]
        if _is_loopback(addresses.host):
            warnings.append(
                f"{BINARY} listens on every address of this machine and has no option for another; "
                f"--backend {DOCKER} and --backend {EMBEDDED} keep to {addresses.host}"
            )
    elif backend == DOCKER:
        command = [program, *_docker_arguments(root, models, addresses)]
    else:
        command = [program, "-m", "serving.server", *flags, f"--host={addresses.host}"]
        command += [] if processes is None else [f"--processes={processes}"]
    if processes is not None and backend != EMBEDDED:
        warnings.append("--processes has no effect: one process of TF Serving takes every core")
    return Launch(backend, reason, command, models, tuple(warnings))


def server_flags(root: Path, grpc_port: int, rest_port: int) -> list[str]:
    """Returns the flags with which every backend serves the directory at `root`, an absolute path.

    The names and meanings are those of TF Serving's `tensorflow_model_server`.
    """
    return [
        f"--port={grpc_port}",
        f"--rest_api_port={rest_port}",
        f"--model_config_file={root / MODELS_FILE}",
        # Without it, a label that moves or a version that is pinned never reaches the server.
        "--model_config_file_poll_wait_seconds=1",
        "--file_system_poll_wait_seconds=1",
        "--enable_batching",
        f"--batching_parameters_file={root / BATCHING_FILE}",
        "--enable_per_model_batching_parameters",
        f"--monitoring_config_file={root / MONITORING_FILE}",
        # A label may point at a version that is still loading when the file is read.
        "--allow_version_labels_for_unavailable_models",
    ]


def engine_version(docker: str) -> str | None:
    """Returns the version of the engine that a docker client reaches; None if none answers.

    The client alone says nothing: it is installed on many machines that have no engine.
    """
    try:
        done = subprocess.run(
            [docker, "version", "--format", "{{.Server.Version}}"],
            capture_output=True,
            text=True,
            timeout=_ENGINE_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = done.stdout.strip()
    return version if done.returncode == 0 and version else None


def _choose(wanted: str | None) -> tuple[str, str, str]:
    """Returns a backend, why it is the one, and its program.

    Raises:
        NoSuchBackend: if the wanted one is not here.
    """
    missing: list[str] = []
    for backend in BACKENDS if wanted is None else (wanted,):
        program, found = _look_for(backend)
        if program is not None:
            because = "--backend names it" if wanted else "; ".join([*missing, found])
            return backend, because, program
        missing.append(found)
    raise NoSuchBackend("; ".join(missing))


def _look_for(backend: str) -> tuple[str | None, str]:
    """Returns a backend's program, None if it cannot run here, and what was found of it."""
    if backend == EMBEDDED:
        return sys.executable, "the embedded server is always there"
    program = shutil.which(backend)
    if program is None:
        return None, f"no {backend} on PATH"
    if backend == BINARY:
        return program, f"found {program}"
    version = engine_version(program)
    if version is None:
        return None, f"no engine answers {program}"
    return program, f"docker engine {version} answers"


def _docker_arguments(root: Path, models: Sequence[ServedModel], addresses: Addresses) -> list[str]:
    """Returns what docker is told: the directory at its own path, read only, and nothing else.

    models.config holds absolute paths, so that only the same path inside makes them true.
    """
    bases = [model.base for model in models if model.base is not None]
    folders = [root, *(base for base in bases if not base.is_relative_to(root))]
    ports = ((addresses.rest_port, _REST_PORT), (addresses.grpc_port, _GRPC_PORT))
    return [
        "run",
        "--rm",
        f"--name=tapeline-serving-{addresses.rest_port}",
        # As process 1, TF Serving, which handles no signal, would not get SIGTERM at all.
        "--init",
        f"--user={container_user(os.getuid(), os.getgid())}",
        "--read-only",
        "--tmpfs=/tmp",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        *(f"--publish={_in_url(addresses.host)}:{outer}:{inner}" for outer, inner in ports),
        *(f"--mount={_bind(folder)}" for folder in dict.fromkeys(folders)),
        # The image's own entry point sets flags for one model.
        f"--entrypoint={BINARY}",
        IMAGE,
        *server_flags(root, _GRPC_PORT, _REST_PORT),
    ]


def container_user(uid: int, gid: int) -> str:
    """Returns whom a container runs as: its caller, who can read the files, but never root."""
    return CONTAINER_USER if uid == 0 else f"{uid}:{gid}"


def _bind(folder: Path) -> str:
    """Returns the value of docker's --mount, which is a row of CSV: a path may hold a comma."""
    row = io.StringIO()
    fields = ["type=bind", f"source={folder}", f"target={folder}", "readonly"]
    csv.writer(row, lineterminator="").writerow(fields)
    return row.getvalue()


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _in_url(host: str) -> str:
    """Returns a host as it stands before a port: an IPv6 address goes into brackets."""
    return f"[{host}]" if ":" in host else host
