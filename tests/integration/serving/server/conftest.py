"""The embedded server and load on it, each in processes of their own."""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.contract.models import LABELS, model_config, models_text, write_half_plus_two
from tests.integration.serving.server.attacked import LIMIT, TIMEOUT_MS, GoodClients
from tests.serving_process import ModelServer, start

COMMAND = (sys.executable, "-m", "serving.server")
PREDICT = "/tensorflow.serving.PredictionService/Predict"


@dataclass(frozen=True)
class Record:
    """A request of the load, and what came of it; `answer` is JSON or a serialized response."""

    protocol: str
    started: float
    ended: float
    outcome: str
    answer: bytes

    @property
    def is_answered(self) -> bool:
        return self.outcome in ("200", "OK")

    @property
    def seconds(self) -> float:
        return self.ended - self.started


class Load:
    """A running load generator; `stop` lets the requests under way end, and returns the records."""

    def __init__(self, spec: dict[str, Any], folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._spec, self._records = folder / "spec.json", folder / "records.jsonl"
        self._spec.write_text(json.dumps(spec))
        self._records.touch()
        self._read = 0
        self._found: list[Record] = []
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.integration.serving.server.load"),
                *(str(self._spec), str(self._records)),
            ],
            stdin=subprocess.PIPE,
            cwd=Path(__file__).parents[4],
        )

    def records(self) -> list[Record]:
        """Returns what has been written so far."""
        with self._records.open() as file:
            file.seek(self._read)
            for line in iter(file.readline, ""):
                if not line.endswith("\n"):
                    break
                self._read += len(line)
                protocol, started, ended, outcome, answer = json.loads(line)
                self._found.append(
                    Record(protocol, started, ended, outcome, base64.b64decode(answer))
                )
        assert self._process.poll() in (None, 0), "the load generator is gone"
        return self._found

    def is_running(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> list[Record]:
        self._close()
        assert self._process.wait(120) == 0
        return self.records()

    def wait(self, seconds: float) -> list[Record]:
        """Waits for a load that ends by itself."""
        assert self._process.wait(seconds) == 0
        self._close()
        return self.records()

    def kill(self) -> None:
        self._close()
        self._process.kill()
        self._process.wait()

    def _close(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()


StartLoad = Callable[..., Load]
StartServer = Callable[..., ModelServer]


@pytest.fixture(scope="module")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    """Starts the embedded server on free ports, until the module ends."""
    started: list[ModelServer] = []

    def call(*flags: object) -> ModelServer:
        folder = tmp_path_factory.mktemp("server")
        started.append(start(COMMAND, [str(flag) for flag in flags], folder))
        return started[-1]

    yield call
    for server in started:
        server.stop()


@pytest.fixture
def start_load(tmp_path: Path) -> Iterator[StartLoad]:
    """Starts load on a server, until the test ends."""
    started: list[Load] = []

    def call(server: ModelServer, path: str, body: Any, request: Any, **spec: Any) -> Load:
        """Starts a load generator.

        Args:
            path: of the REST request, `body` its JSON.
            request: the PredictRequest that asks the same over gRPC.
            spec: `clients` or `rate`, and `seconds`.
        """
        whole = {
            "rest": {
                "host": "127.0.0.1",
                "port": server.rest_port,
                "path": path,
                "body": json.dumps(body),
            },
            "grpc": {
                "target": server.grpc_target,
                "method": PREDICT,
                "request": base64.b64encode(request.SerializeToString()).decode(),
            },
            **spec,
        }
        started.append(Load(whole, tmp_path / f"load-{len(started)}"))
        return started[-1]

    yield call
    for load in started:
        load.kill()


@pytest.fixture(scope="session")
def models_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models.config of `half_plus_two` with two versions."""
    folder = tmp_path_factory.mktemp("models")
    for version in LABELS.values():
        write_half_plus_two(folder / "half_plus_two" / str(version), 1.0 + version)
    config = folder / "models.config"
    config.write_text(models_text(model_config("half_plus_two", folder / "half_plus_two")))
    return config


@pytest.fixture(scope="module")
def server(start_server: StartServer, models_file: Path) -> ModelServer:
    """A server with a process for each core and small limits."""
    server = start_server(
        f"--model_config_file={models_file}",
        f"--rest_api_timeout_in_ms={TIMEOUT_MS}",
        f"--rest_api_max_body_bytes={LIMIT}",
        f"--grpc_max_message_bytes={LIMIT}",
    )
    server.wait_until_available("half_plus_two", 2)
    return server


@pytest.fixture
def good_clients(server: ModelServer) -> Iterator[GoodClients]:
    """Good requests during a test, all of them answered, by the same processes throughout."""
    before = [process.pid for process in family(server)]
    with GoodClients(server) as clients:
        clients.wait_for_more()
        yield clients
        clients.wait_for_more()
    assert not clients.failures, clients.failures
    assert server.process.poll() is None, server.output()[-6000:]
    assert [process.pid for process in family(server)] == before, server.output()[-6000:]


def family(server: ModelServer) -> list[psutil.Process]:
    """Returns the server's processes, its own first."""
    process = psutil.Process(server.pid)
    return [process, *process.children(recursive=True)]


def resident(server: ModelServer) -> int:
    """Returns the bytes of memory that the server's processes have."""
    return sum(process.memory_info().rss for process in family(server))


def processor_seconds(server: ModelServer) -> float:
    """Returns the seconds of a core that the server's processes have used."""
    times = [process.cpu_times() for process in family(server)]
    return sum(time.user + time.system for time in times)
