"""What `make airflow` says where something before Airflow itself fails."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from pipeline.runners.airflow import standalone as module


@pytest.fixture
def standalone(write_config, write_program, tmp_path, monkeypatch):
    """Starts it in a folder with an Airflow, whose command is a script."""
    monkeypatch.chdir(tmp_path)
    write_program(tmp_path / module.ENVIRONMENT / "bin" / "airflow", "echo no database; exit 3")

    def start(*words: str, port: str = "0") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *(sys.executable, "-m", "pipeline.runners.airflow.standalone"),
                *(str(write_config()), "--home", "home", "--port", port, *words),
            ],
            capture_output=True,
            text=True,
        )

    return start


def test_standalone_when_the_pipeline_does_not_compile_then_says_that_alone(standalone):
    override = "orchestration.airflow.nodes.No.retries=1"
    done = standalone("--set", override)
    assert done.returncode == 2, done
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: --set {override}: orchestration.airflow.nodes.No: found no ")


def test_standalone_when_the_configuration_is_wrong_then_exit_code_is_that_of_others(standalone):
    done = standalone("--set", "rooot=1")
    assert done.returncode == 2, done
    assert done.stderr.startswith("error: --set rooot=1: rooot: found a key that does not exist")


def test_standalone_when_airflow_fails_then_the_log_is_named(
    standalone, write_config, monkeypatch, tmp_path
):
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(module, "_compile", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        module.standalone(str(write_config()), port=0, home=tmp_path / "home")
    log = tmp_path / "home" / "airflow.log"
    assert ended.value.code == f"error: `airflow db migrate` ended with exit code 3; see {log}"
    assert log.read_text() == "no database\n"
