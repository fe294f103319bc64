"""The submission environment, a Kubeflow Pipelines API server, and pipelines to submit to it.

`make test-kubeflow` makes the environment.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.compiled import write_compiled


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks every test of this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.kubeflow)


@dataclass(frozen=True)
class ApiServer:
    """The server of api_server.py, on loopback."""

    host: str

    def plan(self, **plan: Any) -> None:
        """Tells it how to behave; see api_server.State."""
        request = urllib.request.Request(
            f"{self.host}/plan", json.dumps(plan).encode(), method="PUT"
        )
        urllib.request.urlopen(request).close()

    @property
    def record(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.host}/record") as answer:
            return json.load(answer)

    def sent(self, path: str, method: str = "POST") -> list[dict[str, Any]]:
        """Returns the bodies of the requests to a path of the API."""
        return [
            request["body"]
            for request in self.record["requests"]
            if (request["method"], request["path"]) == (method, f"/apis/v2beta1{path}")
        ]


@pytest.fixture(scope="session")
def kfp_python(repository: Path) -> Path:
    python = repository / ".venv-kfp" / "bin" / "python"
    assert python.exists(), "make kfp"
    return python


@pytest.fixture(scope="session")
def api_server_process(kfp_python: Path) -> Iterator[ApiServer]:
    process = subprocess.Popen(
        [kfp_python, Path(__file__).with_name("api_server.py")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield ApiServer(f"http://127.0.0.1:{process.stdout.readline().strip()}")
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def api_server(api_server_process: ApiServer) -> ApiServer:
    """The server, as if it had just been started."""
    request = urllib.request.Request(f"{api_server_process.host}/record", method="DELETE")
    urllib.request.urlopen(request).close()
    return api_server_process


@pytest.fixture(scope="session")
def stock(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of pipelines that TFX's own compiler wrote, by what is wrong with them."""
    specs = tmp_path_factory.mktemp("stock")
    subprocess.run(
        [sys.executable, "-m", "tests.kubeflow.stock_pipeline", str(specs)],
        cwd=repository,
        check=True,
        capture_output=True,
    )
    return {
        file.stem: write_compiled(specs / file.stem, file.read_text())
        for file in specs.glob("*.yaml")
    }


@pytest.fixture
def compiled(tmp_path: Path) -> Path:
    """The folder of a small compiled pipeline that the API server takes."""
    return write_compiled(tmp_path / "compiled")


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
