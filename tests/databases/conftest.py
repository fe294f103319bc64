"""Runs whose metadata are on a real PostgreSQL, and on a real MariaDB: `make test-databases`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.database_servers import MetadataBackend

SMALL = (
    "train.epochs=2",
    "evaluate.metrics=[{name: accuracy, head: class, at_least: 0.0}]",
)
"""Overrides of the ready digits: a model that is soon trained, and blessed whatever it learned."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks every test of this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.databases)
            item.add_marker(pytest.mark.timeout(1800))


@dataclass(frozen=True)
class Small:
    """A run of the small job: where, by which metadata, and how it ended."""

    root: Path
    backend: MetadataBackend
    done: Any

    @property
    def run_id(self) -> str:
        return self.done.summary["run_id"]


@pytest.fixture(scope="session")
def arguments(repository: Path) -> Callable[..., list[str]]:
    """The command line of the small job."""

    def make(root: Path, backend: MetadataBackend, *overrides: str) -> list[str]:
        sets = [part for item in (*SMALL, *overrides) for part in ("--set", item)]
        config = str(repository / "configs" / "digits.yaml")
        return ["run", config, "--json", "--set", f"root={root}", *sets, *backend.sets]

    return make


@pytest.fixture(scope="session")
def start(arguments) -> Callable[..., subprocess.Popen[str]]:
    """Starts `tapeline` in a process that a test watches."""

    def begin(command: list[str], cwd: Path, env: Mapping[str, str]) -> subprocess.Popen[str]:
        import os

        return subprocess.Popen(
            [sys.executable, "-m", "pipeline.cli", *command],
            cwd=cwd, env={**os.environ, **env}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    return begin


@pytest.fixture(scope="session")
def small_run(database_server, arguments, warm_tapeline, tmp_path_factory):
    """Returns the small job's run on a backend, made once."""
    made: dict[str, Small] = {}

    def run(name: str) -> Small:
        if name not in made:
            server = None if name == "sqlite" else database_server(name)
            backend = server.new_backend() if server else MetadataBackend("sqlite")
            root = tmp_path_factory.mktemp(name)
            done = warm_tapeline(*arguments(root, backend), cwd=root, env=backend.env)
            assert done.code == 0, done
            made[name] = Small(root, backend, done)
        return made[name]

    return run
