"""Two nights of a pipeline by the real scheduler, each with a new span; the first with a fault."""

from __future__ import annotations

import datetime
import json
import os
import re
import signal
from pathlib import Path

import pytest

from tests import trips
from tests.airflow.conftest import wait_for
from tests.trips import write_trips

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(7200)]

_TODAY = datetime.datetime.now(datetime.timezone.utc).date()
DAYS = [str(_TODAY - datetime.timedelta(days)) for days in (2, 1)]
CONFIG = (
    trips.CONFIG.replace("PATH", "days/{YYYY}-{MM}-{DD}/trips.csv")
    + """\
train:
  epochs: 200
  batch_size: 16
  steps_per_call: 5
  optimizer: {learning_rate: 0.01}
  warm_start: true
beam: {running_mode: in_memory}
orchestration:
  airflow:
    schedule: "@daily"
    start_date: START
    catchup: true
    span: interval
    retries: 2
    retry_delay: 1
    sla: 1
    on_failure: [tee, -a, told.jsonl]
"""
)


def _processes(*words: str) -> list[int]:
    """Returns the processes whose command lines have these words."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if command[0].endswith("python") and set(words) <= set(command) and "-c" not in command:
            found.append(int(path.parent.name))
    return found


@pytest.fixture(scope="module")
def nights(make_airflow, tmp_path_factory, tapeline):
    """The Airflow, the ids of its two runs, and the folder that the pipeline works in."""
    airflow, workdir = make_airflow(), tmp_path_factory.mktemp("trips")
    for seed, day in enumerate(DAYS):
        write_trips(workdir / "days" / day, seed)
    (workdir / "trips.yaml").write_text(CONFIG.replace("START", DAYS[0]))
    folder = airflow.dags / "trips"
    done = tapeline("compile", "trips.yaml", "--target", "airflow", "-o", str(folder), cwd=workdir)
    assert done.code == 0, done
    airflow("dags", "reserialize")
    airflow("dags", "unpause", "trips")
    with airflow.scheduler():
        first = wait_for("the first run", lambda: list(airflow.runs("trips")))[0]

        def trainer_in_mid_training() -> list[int]:
            try:
                log = airflow.log("trips", first, "Trainer")
            except FileNotFoundError:
                return []
            return _processes("node", str(folder), "Trainer") if " epoch " in log else []

        (trainer,) = wait_for("the training", trainer_in_mid_training, 3600)
        os.kill(trainer, signal.SIGKILL)

        def both_ended() -> bool:
            states = list(airflow.runs("trips").values())
            return len(states) > 1 and {"success", "failed"} >= set(states[:2])

        wait_for("the end of both", both_ended, 3600)
    return airflow, list(airflow.runs("trips"))[:2], workdir


def test_schedule_when_two_intervals_are_over_then_both_run_in_order(nights):
    airflow, runs, workdir = nights
    assert [re.sub(r"T.*", "", run) for run in runs] == [f"scheduled__{day}" for day in DAYS]
    assert [airflow.runs("trips")[run] for run in runs] == ["success", "success"]
    versions = sorted((workdir / "runs/trips/serving/trips").glob("[0-9]*"))
    assert len(versions) == 2


def test_schedule_when_a_node_is_killed_in_mid_training_then_it_alone_is_retried(nights):
    airflow, (first, _), _ = nights
    tries = {name: task.tries for name, task in airflow.tasks("trips", first).items()}
    assert tries.pop("Trainer") == 2
    assert set(tries.values()) == {1}
    assert "Trainer was ended by SIGKILL" in airflow.log("trips", first, "Trainer", 1)


def test_schedule_when_the_next_span_comes_then_it_begins_with_the_last_blessed_model(nights):
    airflow, (first, second), _ = nights
    for run, day in zip((first, second), DAYS, strict=True):
        assert f"--parameter span={day}" in airflow.log("trips", run, "ExampleGen")
    assert "of the last blessed model" not in airflow.log("trips", first, "Trainer", 2)
    begun = re.search(
        r"began with (\d+) variables of the last blessed model",
        airflow.log("trips", second, "Trainer"),
    )
    assert begun is not None
    assert int(begun[1]) >= 4


def test_schedule_when_a_run_is_late_then_the_command_is_told(nights):
    _, runs, workdir = nights
    told = [json.loads(line) for line in (workdir / "told.jsonl").read_text().splitlines()]
    # The second night's run was to start when its interval ended, and to end a second later.
    assert str(_TODAY) in {e["scheduled_at"][:10] for e in told if e["event"] == "sla_missed"}
    # Past midnight there is one run more, which has no data.
    assert not [e for e in told if e["event"] == "failed" and e["airflow_run_id"] in runs]
