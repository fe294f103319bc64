"""A pusher is killed at random instants while a reader polls: all that is ever visible answers."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from serving.config import ServeConfig
from serving.history import history_file, outcomes, read_history
from serving.session import InvalidModel, SavedModelSession
from serving.text_configs import parse_batching, parse_monitoring
from serving.version_folders import read_manifest, versions
from serving.version_policy import VersionPolicy
from serving.versions import publish

PUSHER = Path(__file__).with_name("pusher.py")
REPOSITORY = Path(__file__).parents[3]
MODEL_NAME = "scale"
KILLS = 20
ATTEMPTS = 100
"""Kills in all, so that KILLS of them hit a push: most do, since the pusher never rests."""
OPERATIONS = 6
"""That the pusher does in turn."""

X = np.array([1.0, -2.0, 0.5], np.float32)


class Reader:
    """Polls a serving directory as a server does, and asks every version that is visible.

    Use as a context manager around what changes the directory.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._base = root / MODEL_NAME
        self._ended = threading.Event()
        self._polled = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="reader")
        self.polls = 0
        self.labelled = 0
        self.asked: dict[int, str] = {}
        """Digest of each version that answered."""
        self._settled: set[int] = set()
        """Those that need no second look, until the next kill."""
        self.failure: BaseException | None = None

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._ended.set()
        self._thread.join()

    def wait_for_whole_poll(self) -> None:
        """Waits until all that is visible now has answered; raises what the reader met."""
        with self._polled:
            self._settled = set()
            # The one under way may have begun before.
            target = self.polls + 2
            self._polled.wait_for(lambda: self.polls >= target or self.failure is not None, 60.0)
        if self.failure is not None:
            raise self.failure
        assert self.polls >= target, "the reader hangs"

    def _run(self) -> None:
        try:
            while not self._ended.wait(0.001):
                self._poll()
                with self._polled:
                    self.polls += 1
                    self._polled.notify_all()
        except BaseException as error:
            with self._polled:
                self.failure = error
                self._polled.notify_all()

    def _poll(self) -> None:
        self._read_configs()
        for version in versions(self._base):
            self._ask(version)

    def _ask(self, version: int) -> None:
        """Loads a version, and holds its answer to its own manifest."""
        settled = self._settled
        if version in settled:
            return
        folder = self._base / str(version)
        manifest = read_manifest(folder)
        try:
            session = SavedModelSession(folder)
            answer = session.run("serving_default", {"x": X})["y"]
            factor = manifest["factor"]
            parse_batching((folder / "batching_params.pbtxt").read_text())
        except (InvalidModel, OSError, KeyError) as error:
            # A version that was retired while it was read was whole as long as it was visible.
            assert not folder.exists(), f"{folder}: {error!r}"
            return
        np.testing.assert_array_equal(answer, X * np.float32(factor))
        assert self.asked.setdefault(version, manifest["digest"]) == manifest["digest"]
        settled.add(version)

    def _read_configs(self) -> None:
        """Reads what a server is started with; holds each label to a version that is served."""
        models = self._root / "models.config"
        if not models.is_file():
            return  # before the first push has come so far
        text = models.read_text()
        present = versions(self._base)
        whole = {v for v in present if (self._base / str(v) / "saved_model.pb").is_file()}
        parse_batching((self._root / "batching.config").read_text())
        assert parse_monitoring((self._root / "monitoring.config").read_text()).is_enabled
        server = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
        (model,) = server.model_config_list.config
        assert model.base_path == str(self._base)
        if models.read_text() != text:
            return  # the folders are those of another models.config
        served = VersionPolicy.read(model.model_version_policy).served(present)
        assert set(model.version_labels) >= {"stable"}
        for label, version in model.version_labels.items():
            assert version in served, f"{label} on {version}; served: {served}"
            assert version in whole
            self.labelled += 1


class Pushers:
    """Pushers, one after the other, each a process of its own. Use as a context manager."""

    def __init__(self, root: Path) -> None:
        self._command = [sys.executable, str(PUSHER), str(root)]
        self._said: list[str] = []
        self._running: int | None = None

    def __enter__(self) -> Pushers:
        self._process = subprocess.Popen(
            self._command,
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._running is not None:
            os.kill(self._running, signal.SIGKILL)
        self._process.communicate()  # it ends when its stdin does

    def start(self, models: dict[float, Path]) -> int:
        """Starts a pusher of these models; returns its pid."""
        assert self._process.stdin is not None
        pairs = " ".join(f"{factor}={folder}" for factor, folder in models.items())
        self._process.stdin.write(f"{pairs}\n")
        self._process.stdin.flush()
        self._said = []
        self._running = int(self._listen("pid").split()[1])
        return self._running

    def wait_for_begin(self, count: int) -> None:
        """Waits until the pusher has begun so many operations since the last call."""
        for _ in range(count):
            self._listen("begin")

    def kill(self, pid: int) -> str:
        """Kills the pusher; returns what it said last: what it had begun, or ended."""
        os.kill(pid, signal.SIGKILL)
        status = self._listen("status")
        assert status == f"status {-signal.SIGKILL}", "the pusher died by itself"
        return self._said[-2]

    def _listen(self, word: str) -> str:
        assert self._process.stdout is not None
        while True:
            line = self._process.stdout.readline()
            assert line, f"nobody pushes any more: {self._said}"
            self._said.append(line.strip())
            if line.startswith("status"):
                self._running = None
                assert word == "status", f"the pusher died by itself: {self._said}"
            if line.startswith(word):
                return self._said[-1]


def seconds_of_an_operation(pushers: Pushers, models: dict[float, Path]) -> float:
    """Measures what a pusher takes for one on average, when nobody kills it."""
    pid = pushers.start(models)
    pushers.wait_for_begin(1)
    began = time.monotonic()
    pushers.wait_for_begin(OPERATIONS)
    seconds = (time.monotonic() - began) / OPERATIONS
    pushers.kill(pid)
    return seconds


@pytest.mark.timeout(600)
def test_pusher_when_killed_at_random_instants_then_every_visible_version_loads_and_answers(
    tmp_path, scale_models
):
    root = tmp_path / "serving"
    instants = random.Random(5)
    hit: list[str] = []
    with Reader(root) as reader, Pushers(root) as pushers:
        reader.wait_for_whole_poll()
        seconds = seconds_of_an_operation(pushers, scale_models)
        factors = list(scale_models)
        for attempt in range(ATTEMPTS):
            # Another model comes first each time: one that is in place is not pushed again.
            turn = attempt % len(factors)
            models = {factor: scale_models[factor] for factor in factors[turn:] + factors[:turn]}
            pid = pushers.start(models)
            pushers.wait_for_begin(1 + attempt % (OPERATIONS + 1))
            time.sleep(instants.uniform(0.0, 1.5 * seconds))
            hit.append(pushers.kill(pid))
            reader.wait_for_whole_poll()
            if sum(line.startswith("begin push") for line in hit) >= KILLS:
                break

    assert reader.failure is None
    assert sum(line.startswith("begin push") for line in hit) >= KILLS, hit
    assert reader.labelled > 2 * KILLS
    assert len(reader.asked) >= KILLS // 2, "most pushers ended a push before they were killed"
    base = root / MODEL_NAME
    assert set(versions(base)) <= set(reader.asked)

    # The next push finds everything in order, and leaves nothing of the killed ones behind.
    factor, model = next(iter(scale_models.items()))
    config = ServeConfig(model_config_file_poll_wait_seconds=0.0)
    pushed = publish(model, root, MODEL_NAME, config, {"factor": factor, "last": 1}, lambda _: None)
    assert [path for path in root.iterdir() if path.name.startswith(".")] == []
    assert versions(base)[-1] == int(pushed.folder.name)
    server = text_format.Parse(
        (root / "models.config").read_text(), model_server_config_pb2.ModelServerConfig()
    )
    labels = dict(server.model_config_list.config[0].version_labels)
    entries = read_history(history_file(root, MODEL_NAME))
    assert set(outcomes(entries, labels)) <= {"done", "no effect"}
    assert [entry.before for entry in entries][1:] == [
        entry.after if outcome == "done" else entry.before
        for entry, outcome in zip(entries, outcomes(entries, labels), strict=True)
    ][:-1]
