"""kill -9 in mid-training, then the same command again: the same weights to the last bit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

_MIRRORED = [
    "--set", "train.strategy=mirrored",
    "--set", "train.replicas=2",
    "--set", "train.epochs=12",
    "--set", "evaluate.metrics=[{name: accuracy, head: class, at_least: 0.0}]",
]  # fmt: skip


def _run_and_kill(config: str, arguments: list[str], cwd: Path, at: str) -> str:
    """Starts a run, kills it with -9 when a line of its output begins with `at`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", "run", config, *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if line.strip().startswith(at):
            os.kill(process.pid, signal.SIGKILL)
            break
    seen += process.stdout.readlines()
    assert process.wait() == -signal.SIGKILL, "".join(seen)
    assert not any(line.startswith("Trainer") for line in seen), "killed after training"
    return "".join(seen)


@pytest.mark.parametrize(
    ("arguments", "kill_at"),
    [
        pytest.param([], "epoch 6/30", id="default"),
        # Kills of the loop alone, in either strategy, are among its unit tests.
        pytest.param(_MIRRORED, "epoch 4/12", id="mirrored", marks=pytest.mark.slow),
    ],
)
def test_run_killed_in_training_goes_on_and_exports_the_same_bits(
    arguments,
    kill_at,
    digits_run,
    repository,
    tapeline,
    tmp_path,
    serving_weights,
    assert_same_bits,
):
    config = str(repository / "configs" / "digits.yaml")
    if arguments:
        whole = tapeline(
            "run", config, "--json", *arguments, "--set", f"root={tmp_path}/whole", cwd=tmp_path
        )
    else:
        whole = digits_run
    assert whole.code == 0, whole

    arguments = [*arguments, "--set", f"root={tmp_path}/killed"]
    _run_and_kill(config, arguments, tmp_path, kill_at)
    assert not (tmp_path / "killed/digits/serving").exists()

    rerun = tapeline("run", config, "--json", *arguments, cwd=tmp_path)
    assert rerun.code == 0, rerun
    assert "resumed from the checkpoint at step" in rerun.stderr
    states = {node["name"]: node["state"] for node in rerun.summary["nodes"]}
    assert states["Transform"] == "cached"
    assert_same_bits(
        serving_weights(rerun.summary["servable"]), serving_weights(whole.summary["servable"])
    )
    killed = tapeline("runs", f"{tmp_path}/killed", cwd=tmp_path).stdout.splitlines()
    assert [line.split()[2] for line in killed] == ["interrupted", "pushed"]
