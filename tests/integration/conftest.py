"""Real processes on loopback that train on real digits, and a way to start them quickly."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)
from trainer_module.cluster import reserve_addresses

import tensorflow as tf  # isort: skip

LIMIT = 240.0
"""Seconds after which a process counts as hanging; the machine may be busy."""

PORT = 23456
"""Of the workers in network namespaces, where no other process is."""

FEATURES = {
    "image": {"dtype": "float32", "shape": [8, 8, 1]},
    "attribute": {"dtype": "float32", "shape": [2]},
    "class": {"dtype": "int64"},
}


class Launcher:
    """A client of `launcher.py`."""

    def __init__(self) -> None:
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "TF_GRPC_REUSE_PORT": "true"}
        environment.pop("TF_CONFIG", None)
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("launcher.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert "ready" in self._read()

    def ask(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the launcher is gone"
        return json.loads(line)


@dataclass
class Process:
    """A process that the launcher started."""

    launcher: Launcher
    pid: int
    log: Path
    code: int | None = field(default=None)

    def poll(self) -> int | None:
        if self.code is None:
            self.code = self.launcher.ask(poll=self.pid)["code"]
        return self.code

    def wait(self, seconds: float = LIMIT) -> int:
        end = time.monotonic() + seconds
        while self.poll() is None:
            assert time.monotonic() < end, f"hangs:\n{self.text()[-3000:]}"
            time.sleep(0.05)
        assert self.code is not None
        return self.code

    def send(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


Start = Callable[..., list[Process]]


@pytest.fixture(scope="session")
def launcher() -> Iterator[Launcher]:
    launcher = Launcher()
    yield launcher
    launcher.close()


@pytest.fixture(scope="session")
def start(launcher: Launcher) -> Iterator[Start]:
    """Starts arguments once, or in each process of a cluster, and ends what is left of them.

    The cluster is on loopback, by the number of processes of each role; or its workers are in
    network namespaces, by the address of each.
    """
    started: list[Process] = []
    holding = []

    def call(
        arguments: Sequence[str],
        logs: Path,
        roles: dict[str, int] | None = None,
        hosts: Mapping[str, str] | None = None,
    ) -> list[Process]:
        logs.mkdir(parents=True, exist_ok=True)
        networks: list[str | None] = [None]
        if hosts is not None:
            cluster = {"worker": [f"{address}:{PORT}" for address in hosts.values()]}
            members = [("worker", index) for index in range(len(hosts))]
            networks = list(hosts)
        elif roles is None:
            cluster, members = {}, [("process", 0)]
        else:
            held = reserve_addresses(roles)
            cluster = held.__enter__()
            holding.append(held)
            members = [(role, index) for role, count in roles.items() for index in range(count)]
            networks *= len(members)
        found = []
        for (role, index), network in zip(members, networks, strict=True):
            task = {"cluster": cluster, "task": {"type": role, "index": index}}
            log = logs / f"{role}-{index}-{len(started)}.log"
            answer = launcher.ask(
                start=list(arguments),
                log=str(log),
                env={"TF_CONFIG": json.dumps(task)} if cluster else {},
                network=network,
            )
            found.append(Process(launcher, answer["pid"], log))
            started.append(found[-1])
        return found

    yield call
    for process in started:
        process.send(signal.SIGKILL)
    for held in holding:
        held.__exit__(None, None, None)


def write_digits(path: Path, first: int, count: int) -> None:
    """Writes digits as Transform would."""
    images, classes = load_digits(return_X_y=True)
    images = (images[first : first + count] / 16.0).astype(np.float32)
    attributes = np.stack([images.mean(axis=1), images.std(axis=1)], axis=1)
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        rows = zip(images, attributes, classes[first : first + count], strict=True)
        for image, attribute, digit in rows:
            values = {
                "image": tf.train.Feature(float_list={"value": image}),
                "attribute": tf.train.Feature(float_list={"value": attribute}),
                "class": tf.train.Feature(int64_list={"value": [digit]}),
            }
            example = tf.train.Example(features=tf.train.Features(feature=values))
            writer.write(example.SerializeToString())


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A job's `data`: 320 digits, ten batches of 32, and 150 others, which 64 does not divide."""
    folder = tmp_path_factory.mktemp("data")
    write_digits(folder / "train.gz", first=0, count=320)
    write_digits(folder / "eval.gz", first=1000, count=150)
    return {
        "train": [str(folder / "train.gz")],
        "eval": [str(folder / "eval.gz")],
        "features": FEATURES,
    }
