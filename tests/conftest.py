"""What all tests share: real commands in real processes."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.database_servers import MetadataBackend, Server

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Finished:
    """A command that ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def summary(self) -> dict[str, Any]:
        """The summary that `tapeline run --json` ends its stdout with."""
        return json.loads(self.stdout.splitlines()[-1])

    def __str__(self) -> str:
        return f"exit {self.code}\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"


Tapeline = Callable[..., Finished]

# Fixtures that take long to make, minutes of runs or a server, and whose: longest first.
_SHARED = {
    "workdir": "digits",
    "breast_cancer_workdir": "breast_cancer",
    "checkout": "breast_cancer",
    "endpoint": "contract",
}


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gives a file's tests to one worker, and to one those of the files that share runs.

    What is made once for a module, or for a session, is then not made by every worker. The long
    groups come first, so that the workers end together.
    """
    ranks = list(dict.fromkeys(_SHARED.values()))
    shared = {item: _shared_runs(item) for item in items}
    for item, group in shared.items():
        item.add_marker(pytest.mark.xdist_group(group or str(item.path.relative_to(REPOSITORY))))
    items.sort(key=lambda item: ranks.index(shared[item]) if shared[item] else len(ranks))


def _shared_runs(item: pytest.Item) -> str | None:
    """Returns the group of a test by the runs that it looks at; None if there are none."""
    used = getattr(item, "fixturenames", ())
    return next((group for fixture, group in _SHARED.items() if fixture in used), None)


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def cold_tapeline() -> Tapeline:
    """Runs `tapeline ARGUMENTS` in a folder and returns how it ended, as a user's shell does."""

    def call(
        *arguments: str, cwd: Path, stdin: str | None = None, env: Mapping[str, str] | None = None
    ) -> Finished:
        command = [sys.executable, "-m", "pipeline.cli", *arguments]
        return _finish(command, cwd=cwd, input=stdin, env={**os.environ, **(env or {})})

    return call


@pytest.fixture(scope="session")
def tapeline(cold_tapeline: Tapeline) -> Tapeline:
    """How a test runs `tapeline` unless its folder says otherwise."""
    return cold_tapeline


@pytest.fixture(scope="session")
def warm_tapeline() -> Iterator[Tapeline]:
    """The same in a forked process that has imported TFX; `warm.py` says what such ones share."""
    from tests.warm_tapeline import WarmTapeline

    warm = WarmTapeline()

    def call(
        *arguments: str, cwd: Path, stdin: str | None = None, env: Mapping[str, str] | None = None
    ) -> Finished:
        return Finished(*warm.run(arguments, cwd, stdin, env or {}))

    yield call
    warm.close()


@pytest.fixture(scope="session")
def typed() -> Callable[[str, Path], Finished]:
    """Runs a command word for word in a folder, with the environment's commands on PATH."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    def call(line: str, cwd: Path) -> Finished:
        return _finish(shlex.split(line), cwd=cwd, env={**os.environ, "PATH": path})

    return call


def _finish(command: list[str], **options: Any) -> Finished:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    return Finished(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def database_server() -> Iterator[Callable[[str], Server]]:
    """Returns the running server of a backend, started when it is first asked for."""
    from tests.database_servers import INSTALL, SERVERS

    running: dict[str, Server] = {}

    def start(name: str) -> Server:
        if not SERVERS[name].is_installed():
            pytest.skip(f"{name} is not installed: {INSTALL}")
        if name not in running:
            running[name] = SERVERS[name]()
            running[name].start()
        return running[name]

    yield start
    for server in running.values():
        server.close()


@pytest.fixture(
    scope="session",
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.databases),
        pytest.param("mysql", marks=pytest.mark.databases),
    ],
)
def new_metadata_backend(
    request: pytest.FixtureRequest, database_server: Callable[[str], Server]
) -> Callable[[], MetadataBackend]:
    """Makes metadata: in a file, and with `-m databases` in an empty database of a server."""
    from tests.database_servers import MetadataBackend

    if request.param == "sqlite":
        return lambda: MetadataBackend("sqlite")
    return database_server(request.param).new_backend


@pytest.fixture
def metadata_backend(new_metadata_backend: Callable[[], MetadataBackend]) -> MetadataBackend:
    """Where a test's metadata are: its `env` is what a command needs to log in."""
    return new_metadata_backend()
