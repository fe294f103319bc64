"""Runs killed with -9 at random instants in random nodes, and gone on with: all end alike.

    make test-chaos
    make test-databases

Prints where each was killed. What is random is when, not what is asked of it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.database_servers import MetadataBackend
from tests.small_run import CONFIG
from tests.traces import lineage, strangers

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(7200)]

RUNS = {"sqlite": 30, "postgresql": 4, "mysql": 4}
SEED = 20261129


@dataclass(frozen=True)
class Kill:
    """Where a run was killed, and how it ended when it was gone on with."""

    node: str
    fraction: float
    reached: str
    resumes: int

    def __str__(self) -> str:
        where = f"{self.node} at {self.fraction:.2f} of its time"
        return f"{where:<36} with {self.reached or 'nothing'} done; {self.resumes} resume"


@dataclass(frozen=True)
class Job:
    """A folder with the small job's configuration, and how its run ended."""

    folder: Path
    metadata: MetadataBackend
    summary: dict[str, Any]

    @property
    def root(self) -> Path:
        return self.folder / "runs" / "digits"

    def store(self) -> Any:
        return self.metadata.open(self.root)


def _write_config(folder: Path, metadata: MetadataBackend) -> None:
    (folder / "small.yaml").write_text(CONFIG + metadata.yaml)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, cold_tapeline, new_metadata_backend):
    """The run that nobody kills."""
    folder, metadata = tmp_path_factory.mktemp("whole"), new_metadata_backend()
    _write_config(folder, metadata)
    done = cold_tapeline("run", "small.yaml", "--json", cwd=folder, env=metadata.env)
    assert done.code == 0, done
    return Job(folder, metadata, done.summary)


@pytest.fixture(scope="module")
def kills(tmp_path_factory, whole, tapeline, new_metadata_backend):
    """Each of the runs: killed, gone on with until it ends, and held to the one of nobody."""
    draw = random.Random(SEED)
    durations = {node["name"]: node["seconds"] for node in whole.summary["nodes"]}
    found = []
    for number in range(RUNS[whole.metadata.name]):
        folder, metadata = tmp_path_factory.mktemp(f"killed{number}"), new_metadata_backend()
        _write_config(folder, metadata)
        node, fraction = draw.choice(list(durations)), draw.random()
        seconds = fraction * durations[node]
        reached = _run_and_kill(folder, metadata, node, seconds, list(durations))
        resumes, done = 0, None
        while done is None or done.code != 0:
            assert resumes < 3, done
            (run_dir,) = (folder / "runs" / "digits" / "runs").iterdir()
            done = tapeline("resume", str(run_dir), "--json", cwd=folder, env=metadata.env)
            resumes += 1
        kill = Kill(node, fraction, reached, resumes)
        print(f"{number + 1:>3}  {kill}", file=sys.stderr, flush=True)
        found.append((kill, Job(folder, metadata, done.summary)))
    return found


def _run_and_kill(
    folder: Path, metadata: MetadataBackend, node: str, seconds: float, nodes: list[str]
) -> str:
    """Kills a run so long after the node before has ended; returns the last node that ended."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", "run", "small.yaml"],
        cwd=folder, env={**os.environ, **metadata.env},
        stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    before = nodes[nodes.index(node) - 1] if nodes.index(node) else "digits"
    ended = ""
    for line in process.stdout:
        name = line.split()[0] if line.strip() else ""
        ended = name if name in nodes else ended
        if name == before:
            break
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGKILL)
    for line in process.stdout.read().splitlines():
        ended = line.split()[0] if line.strip() and line.split()[0] in nodes else ended
    process.wait()
    return ended


def test_killed_runs_when_gone_on_with_then_all_push_the_same_weights(
    kills, whole, serving_weights, assert_same_bits
):
    expected = serving_weights(whole.summary["servable"])
    for kill, job in kills:
        assert job.summary["status"] in ("pushed", "cached"), (str(kill), job.summary)
        assert_same_bits(serving_weights(job.summary["servable"]), expected)


def test_killed_runs_when_gone_on_with_then_all_have_the_same_lineage(kills, whole):
    expected = lineage(whole.store(), whole.summary["run_id"])
    for kill, job in kills:
        assert lineage(job.store(), job.summary["run_id"]) == expected, str(kill)


def test_killed_runs_when_gone_on_with_then_leave_nothing_that_nobody_knows(kills):
    for kill, job in kills:
        assert strangers(job.store(), job.root) == [], str(kill)


def test_killed_runs_when_gone_on_with_then_serve_one_whole_version(kills, tapeline):
    for kill, job in kills:
        served = job.root / "serving" / "digits"
        versions = [path.name for path in served.iterdir()]
        assert versions == [Path(job.summary["servable"]).name], str(kill)
        asked = tapeline(
            "predict", "small.yaml", "--sample", "2", cwd=job.folder, env=job.metadata.env
        )
        assert asked.code == 0, (str(kill), asked)
        assert len([json.loads(line) for line in asked.stdout.splitlines()]) == 2
