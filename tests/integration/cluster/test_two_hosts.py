"""Two workers on two hosts, whose link is cut while they train.

The hosts are network namespaces joined by a veth pair; the machine has to allow them.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

TRAIN = {
    "epochs": 8,
    "batch_size": 32,
    "eval_batch_size": 64,
    "strategy": "multi_worker",
    "steps_per_call": 3,
    "checkpoint": {"every_steps": 3},
    "stall_seconds": 40.0,
}
LOST = 138


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


@pytest.fixture
def hosts() -> Iterator[dict[str, str]]:
    """Two namespaces that reach each other, and the address of each."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and the command ip")
    found = {f"tl{os.getpid()}{side}": f"10.77.0.{side}" for side in (1, 2)}
    with contextlib.ExitStack() as stack:
        try:
            for name in found:
                _ip("netns", "add", name)
                stack.callback(_ip, "netns", "del", name)
            first, second = found
            _ip("-n", first, "link", "add", "wire", "type", "veth", "peer", "wire", "netns", second)
            for name, address in found.items():
                _ip("-n", name, "address", "add", f"{address}/24", "dev", "wire")
                _ip("-n", name, "link", "set", "wire", "up")
                _ip("-n", name, "link", "set", "lo", "up")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"this machine allows no network namespaces: {error.stderr}")
        yield found


def _job(data: dict, root: Path) -> Path:
    root.mkdir()
    job = {
        "task": {"name": "digits", "options": {"filters": 4, "embedding": 8}},
        "train": TRAIN,
        "data": data,
        "folder": str(root / "run"),
    }
    (root / "job.json").write_text(json.dumps(job))
    return root / "job.json"


def _saved(job: Path) -> int:
    found = sorted((job.parent / "run" / "latest").glob("step-*"))
    return int(found[-1].name.partition("-")[2]) if found else -1


def _wait_for(job: Path, step: int, processes: list) -> None:
    while _saved(job) < step:
        for process in processes:
            assert process.poll() is None, process.text()[-3000:]
        time.sleep(0.01)


def _weights(job: Path) -> dict[str, bytes]:
    newest = sorted((job.parent / "run" / "latest").glob("step-*"))[-1]
    reader = tf.train.load_checkpoint(str(newest / "checkpoint"))
    return {
        name: np.asarray(reader.get_tensor(name)).tobytes()
        for name in reader.get_variable_to_shape_map()
        if "OBJECT_GRAPH" not in name and "save_counter" not in name
    }


@pytest.mark.slow
def test_train_when_the_link_is_cut_then_never_hangs_and_ends_with_the_same_weights(
    start: Callable, data: dict, tmp_path: Path, hosts: dict[str, str]
):
    command = ["-m", "trainer_module"]
    alone, cut = _job(data, tmp_path / "alone"), _job(data, tmp_path / "cut")
    for process in start([*command, f"--config={alone}"], alone.parent / "logs", hosts=hosts):
        assert process.wait() == 0, process.text()[-3000:]

    host = next(iter(hosts))
    processes = start([*command, f"--config={cut}"], cut.parent / "logs", hosts=hosts)
    _wait_for(cut, 15, processes)
    _ip("-n", host, "link", "set", "wire", "down")
    time.sleep(1.0)
    _ip("-n", host, "link", "set", "wire", "up")

    _wait_for(cut, 45, processes)
    _ip("-n", host, "link", "set", "wire", "down")
    codes = [process.wait() for process in processes]
    _ip("-n", host, "link", "set", "wire", "up")
    assert codes == [LOST, LOST], processes[0].text()[-2000:]
    for process in processes:
        assert "not answer; run again to resume from step" in process.text().splitlines()[-1]

    for process in start([*command, f"--config={cut}"], cut.parent / "logs", hosts=hosts):
        assert process.wait() == 0, process.text()[-3000:]
    assert _weights(cut) == _weights(alone)
