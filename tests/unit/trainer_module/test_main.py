"""`python -m trainer_module` as a shell sees it: help, messages and exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trainer_module", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_help_when_asked_for_then_shows_a_job_and_the_exit_codes_without_tensorflow():
    done = _run("--help")
    assert done.returncode == 0
    for text in ("task: {name: digits}", "TF_CONFIG", "local_workers", "143", "138", "--eager"):
        assert text in done.stdout
    assert "tensorflow" not in done.stderr.lower()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "error: --config: found nothing; allowed: a job file"),
        (["--config=absent.yaml"], "error: absent.yaml: found"),
        (["--config=job.yaml"], "job.yaml: task: field required"),
        (["replay", "."], "error: .: found no report.json; allowed: a step's folder"),
        (["--config=job.yaml", "--set=train"], "--set: found 'train'; allowed: key=value"),
        (
            ["--config=job.yaml", "--fast-dev-run", "--overfit-batches=2"],
            "overfit_batches: found 2 with fast_dev_run",
        ),
        (
            ["--config=job.yaml", "--set=train.strategy=parameter_server", "--eager"],
            "debug.eager: found true with strategy 'parameter_server'",
        ),
    ],
)
def test_main_when_the_job_cannot_run_then_says_why_and_exits_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
):
    monkeypatch.setenv("PYTHONPATH", ":".join(path for path in sys.path if path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job.yaml").write_text("train: {epochs: 1, batch_size: 8}")
    done = _run(*arguments)
    assert done.returncode == 2
    assert message.lower() in done.stderr.lower()
