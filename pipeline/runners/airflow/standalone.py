"""A local Airflow with one pipeline's DAG, to look at and to try: `make airflow`.

    python -m pipeline.runners.airflow.standalone CONFIG [--set KEY=VALUE] [--port 8080]

A scheduler and a web server on loopback, with SQLite under build/airflow, until Ctrl-C. For people:
a real one is set up by those who run it, and gets the compiled folder; see docs/airflow.md.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.arguments import Config, Set
from pipeline.config_file import ConfigError, Problem, load_config
from pipeline.program import program

ENVIRONMENT = Path(".venv-airflow")
HOME = Path("build/airflow")
_START_SECONDS = 180
_POLL = 0.5

_MAKE_ADMIN = """
from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
with get_application_builder() as builder:
    builder.sm.create_admin_standalone()
"""
"""What `airflow standalone` does: the password goes into a file of the home, and into no argument.

That command itself lets the server of the logs listen on every address.
"""


def standalone(
    config: Config,
    set_: Set = None,
    port: Annotated[int, typer.Option(help="Of the web page.")] = 8080,
    home: Annotated[Path, typer.Option(help="Folder of all that Airflow writes.")] = HOME,
) -> None:
    """Compile a pipeline and start a local Airflow with its DAG, until Ctrl-C."""
    airflow = ENVIRONMENT / "bin" / "airflow"
    if not airflow.exists():
        allowed = "the environment of `sh requirements/bootstrap.sh airflow`"
        raise ConfigError(Problem("airflow", str(ENVIRONMENT), "no such environment", allowed))
    _check_free(port)
    # SIGINT too: a shell has what it starts in the background ignore it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    name = load_config(config, set_ or []).name
    home = home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    _compile(config, set_ or [], home / "dags" / name)
    environment = airflow_environment(ENVIRONMENT, home, port)
    with (home / "airflow.log").open("w", encoding="utf-8") as log:
        print(f"starting   Airflow; log {log.name}", flush=True)
        for what, prepare in (
            ("`airflow db migrate`", [str(airflow), "db", "migrate"]),
            ("making the user", [str(ENVIRONMENT / "bin" / "python"), "-c", _MAKE_ADMIN]),
        ):
            done = subprocess.run(
                prepare, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False
            )
            if done.returncode != 0:
                raise SystemExit(
                    f"error: {what} ended with exit code {done.returncode}; see {log.name}"
                )
        with _running(airflow, environment, log) as processes:
            _wait(f"http://127.0.0.1:{port}/health", processes, log.name)
            password = (home / "standalone_admin_password.txt").read_text(encoding="utf-8")
            print(
                f"ready      http://127.0.0.1:{port}/dags/{name}/grid\n"
                f"log in     admin, {password.strip()}\n"
                f"run it     the DAG is paused: switch it on, or press the arrow to run it once\n"
                "end        Ctrl-C",
                flush=True,
            )
            while all(process.poll() is None for process in processes):
                time.sleep(_POLL)
            raise _ended(processes, log.name)


def _compile(config: str, overrides: list[str], folder: Path) -> None:
    """Compiles in a process of its own; one that fails has said why, and its exit code is ours."""
    sets = [word for item in overrides for word in ("--set", item)]
    command = [*program(), "compile", config, *sets]
    done = subprocess.run([*command, "--target", "airflow", "-o", str(folder)], check=False)
    if done.returncode != 0:
        raise SystemExit(done.returncode)


def airflow_environment(environment: Path, home: Path, port: int = 8080) -> dict[str, str]:
    """Returns the variables of an Airflow that keeps to itself: its folder, and loopback.

    Args:
        environment: where Airflow is installed.
        home: absolute; the folder of all that it writes, the DAGs in `dags`.
    """
    settings = {
        "CORE__DAGS_FOLDER": str(home / "dags"),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTOR": "SequentialExecutor",
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "SCHEDULER__DAG_DIR_LIST_INTERVAL": "10",
        "WEBSERVER__WEB_SERVER_HOST": "127.0.0.1",
        "WEBSERVER__WEB_SERVER_PORT": str(port),
        "WEBSERVER__BASE_URL": f"http://127.0.0.1:{port}",
        "WEBSERVER__WORKERS": "1",
    }
    return {
        **os.environ,
        **{f"AIRFLOW__{name}": value for name, value in settings.items()},
        "AIRFLOW_HOME": str(home),
        # Each process starts others by name.
        "PATH": f"{(environment / 'bin').resolve()}{os.pathsep}{os.environ.get('PATH', '')}",
        # Gunicorn's socket for operators would be in the user's own home.
        "GUNICORN_CMD_ARGS": "--no-control-socket",
    }


def _check_free(port: int) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            raise ConfigError(Problem("airflow", "--port", f"{port}, taken", "another")) from error


@contextlib.contextmanager
def _running(
    airflow: Path, environment: Mapping[str, str], log: object
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Runs a scheduler and a web server, and ends them with all that they started."""
    processes: list[subprocess.Popen[bytes]] = []
    try:
        # The web server reads the logs from this machine's disk; no server for them is needed.
        for words in (["scheduler", "--skip-serve-logs"], ["webserver"]):
            processes.append(
                subprocess.Popen(
                    [str(airflow), *words],
                    env=dict(environment),
                    stdout=log,  # type: ignore[call-overload]
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )
        yield processes
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in processes:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
            deadline = time.monotonic() + 15
            for process in processes:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.1, deadline - time.monotonic()))


def _wait(url: str, processes: list[subprocess.Popen[bytes]], log: str) -> None:
    """Waits until the web server answers."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if any(process.poll() is not None for process in processes):
            raise _ended(processes, log)
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            urllib.request.urlopen(url, timeout=5).close()  # noqa: S310  loopback
            return
        time.sleep(_POLL)
    raise SystemExit(f"error: {url} does not answer after {_START_SECONDS} s; see {log}")


def _ended(processes: list[subprocess.Popen[bytes]], log: str) -> SystemExit:
    names = ("the scheduler", "the web server")
    ended = [name for name, p in zip(names, processes, strict=True) if p.poll() is not None]
    return SystemExit(f"error: {' and '.join(ended)} ended; see {log}")


def main() -> None:
    """Entry point of the module."""
    try:
        typer.run(standalone)
    except ConfigError as error:
        for problem in error.problems:
            print(f"error: {problem}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
