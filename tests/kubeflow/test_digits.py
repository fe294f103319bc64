"""The ready-made job, compiled for Kubeflow, goes through a current kfp to the server."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml


@pytest.fixture(scope="module")
def digits(repository, cold_tapeline, tmp_path_factory) -> Path:
    """The folder of the compiled pipeline."""
    folder = tmp_path_factory.mktemp("digits")
    settings = {"image": "registry.invalid/tapeline:1", "claim": "tapeline", "experiment": "night"}
    sets = [f"orchestration.kubeflow.{name}={value}" for name, value in settings.items()]
    done = cold_tapeline(
        *("compile", "configs/digits.yaml", "--target", "kubeflow", "-o", str(folder)),
        *(word for one in sets for word in ("--set", one)),
        cwd=repository,
    )
    assert done.code == 0, done
    return folder


def test_digits_when_compiled_then_a_current_kfp_reads_it_strictly(digits, kfp_python):
    done = subprocess.run(
        [kfp_python, Path(__file__).with_name("strict.py"), digits / "pipeline.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["name"] == "digits"
    assert told["schema"] == "2.1.0"
    assert told["platforms"] == 1
    assert "span" in told["inputs"]


def test_digits_when_submitted_then_server_takes_all_of_it(digits, api_server, tapeline):
    done = tapeline("submit", str(digits), "--host", api_server.host, "--json", cwd=digits)
    assert done.code == 0, done
    assert done.summary["experiment"] == "night"
    (run,) = api_server.sent("/runs")
    written, platform = yaml.safe_load_all((digits / "pipeline.yaml").read_text())
    tasks = run["pipeline_spec"]["pipeline_spec"]["root"]["dag"]["tasks"]
    assert tasks.keys() == written["root"]["dag"]["tasks"].keys()
    assert run["pipeline_spec"]["platform_spec"].keys() == platform.keys()


def test_digits_when_scheduled_then_server_takes_a_recurring_run_with_its_day(
    digits, api_server, tapeline
):
    done = tapeline(
        *("schedule", str(digits), "--cron", "0 2 * * *", "--host", api_server.host),
        *("--parameter", "span=[[ScheduledTime.2006-01-02]]"),
        cwd=digits,
    )
    assert done.code == 0, done
    (sent,) = api_server.sent("/recurringruns")
    assert sent["trigger"] == {"cron_schedule": {"cron": "0 0 2 * * *"}}
    assert sent["runtime_config"]["parameters"] == {"span": "[[ScheduledTime.2006-01-02]]"}
    assert sent["display_name"] == "digits"
