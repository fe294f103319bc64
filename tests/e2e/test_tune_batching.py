"""Tuning the digits model, on this machine: what is written keeps its promise in a load test."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from serving.text_configs import parse_batching
from serving.tuning.requests import tuning_request
from serving.tuning.tune import Effort, Goal, prove

P99_MS = 200.0
CLIENTS = 64


@pytest.mark.slow
def test_tune_batching_on_digits_when_written_then_meets_the_target_and_beats_the_defaults(
    digits_run, tapeline, tmp_path
):
    """Once by the command's own proof, and once more by a load test of the file that it wrote."""
    pushed = Path(digits_run.summary["servable"])
    version = shutil.copytree(pushed, tmp_path / "digits" / pushed.name)
    (version / "batching_params.pbtxt").unlink()
    done = tapeline(
        "tune-batching", str(version), f"--p99={P99_MS}", "--write", f"--clients={CLIENTS}",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.code == 0, done
    assert (tmp_path / "batching.png").is_file()
    sizes = re.findall(r"^ +(\d+) +[\d.]+ +[\d.]+ +[\d,]+$", done.stdout, re.MULTILINE)
    assert list(map(int, sizes)) == [2**power for power in range(11)]

    written = parse_batching((version / "batching_params.pbtxt").read_text())
    goal = Goal(P99_MS, CLIENTS, cores=1)
    request = tuning_request(version, "serving_default")
    proof = prove(version, request, written, goal, Effort(rounds=5))
    assert proof.holds(goal), f"{proof}\n{done}"
