"""A pusher is killed at random instants while a reader polls: all that is ever visible answers."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
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
"""Kills in all, so that KILLS of them hit a push: nearly all do, since it never rests."""

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


@contextlib.contextmanager
def pusher(root: Path, models: dict[float, Path]) -> Iterator[subprocess.Popen[str]]:
    """Runs the pusher; kills it at the end."""
    arguments = [f"{factor}={folder}" for factor, folder in models.items()]
    process = subprocess.Popen(
        [sys.executable, str(PUSHER), str(root), *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def seconds_of_a_round(root: Path, models: dict[float, Path]) -> float:
    """Measures all the pusher does once, when nobody kills it."""
    with pusher(root, models) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        began = time.monotonic()
        while process.stdout.readline() != first:
            pass
        return time.monotonic() - began


def kill_at(root: Path, models: dict[float, Path], seconds: float) -> str:
    """Starts the pusher and kills it so long after its first line; returns what that hit."""
    with pusher(root, models) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        assert lines[0].startswith("begin")
        time.sleep(seconds)
        os.kill(process.pid, signal.SIGKILL)
        lines += process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL, f"died by itself: {lines}"
    return lines[-1].strip()


@pytest.mark.timeout(600)
def test_pusher_when_killed_at_random_instants_then_every_visible_version_loads_and_answers(
    tmp_path, scale_models
):
    root = tmp_path / "serving"
    instants = random.Random(5)
    hit: list[str] = []
    with Reader(root) as reader:
        reader.wait_for_whole_poll()
        longest = seconds_of_a_round(root, scale_models)
        for _ in range(ATTEMPTS):
            hit.append(kill_at(root, scale_models, instants.uniform(0.0, longest)))
            reader.wait_for_whole_poll()
            if sum(line.startswith("begin push") for line in hit) >= KILLS:
                break

    assert reader.failure is None
    assert sum(line.startswith("begin push") for line in hit) >= KILLS, hit
    assert reader.labelled > 2 * KILLS
    assert len(reader.asked) >= KILLS
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
