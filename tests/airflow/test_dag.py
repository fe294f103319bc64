"""What the DAG does with the processes of its tasks; a stand-in of `tapeline` ends as planned."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.runners.airflow.config import AirflowConfig
from pipeline.runners.airflow.files import DAG_SOURCE
from tests.airflow.conftest import LocalAirflow, wait_for

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(7200)]

_FAKE = Path(__file__).with_name("fake_tapeline.py")


class Fake:
    """A compiled pipeline whose nodes are the stand-in's."""

    def __init__(self, airflow: LocalAirflow, name: str, nodes: dict[str, list[str]]) -> None:
        self.name = name
        self.nodes = nodes
        self.folder = airflow.dags / name
        self.folder.mkdir()
        self.hooked = self.folder / "hooked.json"

    def compile(self, plan: dict[str, list[Any]], settings: dict[str, Any]) -> None:
        config = AirflowConfig.model_validate(settings)
        graph = {
            "pipeline": self.name,
            "root": str(self.folder / "root"),
            "working_directory": str(self.folder),
            "command": [sys.executable, "-I", "-S", str(_FAKE), str(self.folder)],
            "parameters": {"span": "configured"},
            "nodes": [{"id": name, "upstream": before} for name, before in self.nodes.items()],
            "airflow": config.model_dump(mode="json"),
        }
        (self.folder / "plan.json").write_text(json.dumps(plan))
        (self.folder / "graph.json").write_text(json.dumps(graph))
        (self.folder / f"{self.name}_dag.py").write_text(DAG_SOURCE.read_text())

    def calls(self, name: str | None = None) -> list[dict[str, Any]]:
        path = self.folder / "calls.jsonl"
        calls = (
            [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        )
        return [call for call in calls if name in (None, call["name"])]


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.fixture(scope="module")
def airflow(make_airflow) -> LocalAirflow:
    return make_airflow(AIRFLOW__CORE__KILLED_TASK_CLEANUP_TIME="10")


@pytest.fixture(scope="module")
def mixed(airflow):
    """A run in which everything happens that can happen to a node, and its output."""
    before = {
        **{name: [] for name in ("good", "input", "anomalies", "weak", "killed", "off")},
        "after_off": ["off"],
        "after_off_too": ["off"],
        "after_input": ["input"],
    }
    fake = Fake(airflow, "mixed", before)
    fake.compile(
        {
            "input": [2], "anomalies": [3], "weak": [1], "killed": [-9, 0], "off": [99],
            "after_off_too": [99], "finish": [1],
        },
        {
            "retries": 1, "retry_delay": 0.1, "retry_exponential_backoff": False,
            "on_failure": ["tee", str(fake.hooked)],
        },
    )  # fmt: skip
    output = airflow("dags", "test", "mixed", "2026-11-28", code=None)
    (run,) = airflow.runs("mixed")
    return fake, run, airflow.tasks("mixed", run), output


def test_tasks_when_their_processes_end_then_the_exit_codes_decide(mixed):
    _, _, tasks, _ = mixed
    assert {name: (task.state, task.tries) for name, task in tasks.items()} == {
        "good": ("success", 1),
        "input": ("failed", 1),
        "anomalies": ("failed", 1),
        "weak": ("failed", 2),
        "killed": ("success", 2),
        "off": ("skipped", 1),
        # Whether a skipped node keeps another from running is the node's own business.
        "after_off": ("success", 1),
        "after_off_too": ("skipped", 1),
        "after_input": ("upstream_failed", 0),
        "finish": ("failed", 1),
    }


def test_tasks_when_they_fail_then_the_log_says_what_how_and_why(mixed):
    _, _, _, output = mixed
    assert "weak ended with exit code 1: failed     weak: RuntimeError: the cause" in output
    assert (
        "killed was ended by SIGKILL, as the kernel does where memory runs out: killed says"
        in output
    )
    assert "input ended with exit code 2, bad input, which no retry mends: failed" in output
    assert "off is skipped: a condition before it is false" in output
    assert "failed in this run: anomalies, input, weak; see their logs" in output


def test_nodes_when_they_are_started_then_as_one_run_that_their_log_names(mixed):
    fake, _, _, output = mixed
    names = [call["name"] for call in fake.calls()]
    assert sorted(names) == sorted(
        [*fake.nodes.keys() - {"after_input"}, "weak", "killed", "finish"]
    )
    assert names[-1] == "finish"
    ids = {call["words"][call["words"].index("--run-id") + 1] for call in fake.calls()}
    (run_id,) = ids
    assert re.fullmatch(r"airflow-manual__2026-11-28T00-00-00-[0-9a-f]{10}", run_id)
    assert all(call["directory"] == str(fake.folder) for call in fake.calls())
    assert not any(call["secrets"] for call in fake.calls())
    assert f"run folder {fake.folder}/root/runs/{run_id}" in output
    (good,) = fake.calls("good")
    assert shlex.join(good["words"]) in output
    assert "--parameter" not in good["words"]


def test_failure_when_the_run_has_failed_then_the_command_is_told_once(mixed):
    fake, run, _, _ = mixed
    told = json.loads(fake.hooked.read_text())  # two objects would be no JSON
    assert {key: told[key] for key in ("event", "pipeline", "airflow_run_id", "failed")} == {
        "event": "failed",
        "pipeline": "mixed",
        "airflow_run_id": run,
        "failed": ["anomalies", "input", "weak"],
    }
    assert told["run_dir"] == f"{fake.folder}/root/runs/{told['run_id']}"
    assert "failed in this run" in told["error"]
    assert told["summary"] == {"status": "failed"}


def test_run_when_the_model_is_not_blessed_then_it_is_no_failure(airflow):
    fake = Fake(airflow, "unblessed", {"node": []})
    fake.compile(
        {"finish": [4]},
        {"schedule": "@daily", "timezone": "Asia/Tokyo", "span": "interval"},
    )
    output = airflow("dags", "test", "unblessed", "2026-11-28")
    assert set(airflow.runs("unblessed").values()) == {"success"}
    assert "not blessed: the model that is served stays as it is" in output
    # The last whole interval before it began at midnight of the day before, there.
    (call,) = fake.calls("node")
    assert call["words"][-2:] == ["--parameter", "span=2026-11-27"]

    airflow("dags", "test", "unblessed", "2026-11-29", "--conf", '{"span": "2026-01-01"}')
    assert fake.calls("node")[-1]["words"][-1] == "span=2026-01-01"


def test_run_ids_when_dag_or_root_or_run_differ_then_they_differ(airflow):
    Fake(airflow, "ids", {"node": []}).compile({}, {})
    names = airflow.python(
        "import importlib.util, sys, types\n"
        "spec = importlib.util.spec_from_file_location('ids_dag', sys.argv[1])\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "for root, dag, run in [('/r', 'a', 'x:y'), ('/r', 'a', 'x+y'), ('/r', 'b', 'x:y'),\n"
        "        ('/q', 'a', 'x:y'), ('/r', 'a', '-' * 300), ('/r', 'a', 'x:y')]:\n"
        "    print(module.run_id({'root': root}, types.SimpleNamespace(dag_id=dag, run_id=run)))\n",
        str(airflow.dags / "ids" / "ids_dag.py"),
    ).split()
    assert len(names) == 6
    assert names[0] == names[5]
    assert len(set(names)) == 5
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,120}", name) for name in names)


def test_dag_when_airflow_reads_it_then_it_has_what_the_configuration_says(airflow):
    fake = Fake(airflow, "settings", {"plain": [], "special": ["plain"]})
    fake.compile(
        {},
        {
            "schedule": "30 2 * * mon-fri", "timezone": "Europe/Berlin",
            "start_date": "2026-03-01", "catchup": True, "retries": 5, "retry_delay": 60.0,
            "max_retry_delay": 600.0, "execution_timeout": 3600.0, "pool": "training",
            "queue": "machines", "tags": ["nightly", "digits"], "owner": "ml", "sla": 7200.0,
            "nodes": {"special": {"retries": 0, "pool": "gpu", "execution_timeout": 60.0}},
        },
    )  # fmt: skip
    assert airflow.import_errors() == []
    shown = airflow.python(
        "import json, sys\n"
        "from airflow.models.dagbag import DagBag\n"
        "dag = DagBag(sys.argv[1], include_examples=False).dags['settings']\n"
        "tasks = {t.task_id: [t.retries, t.retry_delay.total_seconds(), t.pool, t.queue, t.owner,\n"
        "    t.retry_exponential_backoff, t.max_retry_delay.total_seconds(),\n"
        "    t.execution_timeout.total_seconds(), t.sla and t.sla.total_seconds(),\n"
        "    sorted(t.upstream_task_ids)] for t in dag.tasks}\n"
        "print(json.dumps({'tasks': tasks, 'tags': sorted(dag.tags), 'catchup': dag.catchup,\n"
        "    'active': dag.max_active_runs, 'schedule': dag.timetable.summary,\n"
        "    'start': str(dag.start_date), 'zone': str(dag.timezone),\n"
        "    'documented': all(t.doc_md for t in dag.tasks) and 'config.yaml' in dag.doc_md}))\n",
        str(fake.folder),
    )
    plain = [5, 60.0, "training", "machines", "ml", True, 600.0, 3600.0, None]
    special = [0, 60.0, "gpu", "machines", "ml", True, 600.0, 60.0, None]
    assert json.loads(shown.splitlines()[-1]) == {
        "tasks": {
            "plain": [*plain, []],
            "special": [*special, ["plain"]],
            "finish": [*plain[:-1], 7200.0, ["plain", "special"]],
        },
        "tags": ["digits", "nightly"],
        "catchup": True,
        "active": 1,
        "schedule": "30 2 * * mon-fri",
        "start": "2026-02-28 23:00:00+00:00",
        "zone": "Europe/Berlin",
        "documented": True,
    }


@pytest.fixture(scope="module")
def scheduled(airflow):
    """Two runs by the real scheduler, in which nodes are ended from outside."""
    orphan = Fake(airflow, "orphan", {"node": []})
    orphan.compile(
        {"node": ["wait", "wait", 0]},
        {"retries": 2, "retry_delay": 0.1, "retry_exponential_backoff": False},
    )
    slow = Fake(airflow, "slow", {"node": []})
    slow.compile({"node": ["wait"]}, {"retries": 0, "execution_timeout": 10.0})
    airflow("dags", "reserialize")
    for fake in (orphan, slow):
        airflow("dags", "unpause", fake.name)
    with airflow.scheduler():
        yield airflow, orphan, slow
    for call in orphan.calls("node"):
        # What a killed process had started is nobody's to end; a real node's see it and end.
        if "child" in call and _is_alive(call["child"]):
            os.kill(call["child"], signal.SIGKILL)


def test_node_when_airflow_around_it_is_killed_then_it_dies_before_it_is_retried(scheduled):
    """First the task's own process with -9, then the one that looks after it; then it succeeds."""
    airflow, fake, _ = scheduled
    airflow("dags", "trigger", fake.name, "--run-id", "by-hand")
    for attempt, levels in ((1, 0), (2, 1)):
        calls = wait_for("an attempt", lambda n=attempt: fake.calls("node")[n - 1 :])
        victim = calls[0]["parent"]
        for _ in range(levels):
            victim = _parent(victim)
        os.kill(victim, signal.SIGKILL)
        pid = calls[0]["pid"]
        wait_for("the end of the node", lambda pid=pid: not _is_alive(pid), 30)
        assert len(fake.calls("node")) == attempt
    wait_for("the end", lambda: airflow.runs(fake.name)["by-hand"] == "success")
    assert airflow.tasks(fake.name, "by-hand")["node"] == ("success", 3)
    assert "supervisor has died" in airflow.log(fake.name, "by-hand", "node", 2)


def test_node_when_it_takes_too_long_then_it_ends_with_all_it_started(scheduled):
    airflow, _, fake = scheduled
    airflow("dags", "trigger", fake.name, "--run-id", "by-hand")
    wait_for("the end", lambda: airflow.runs(fake.name)["by-hand"] == "failed")
    (call,) = fake.calls("node")
    assert not _is_alive(call["pid"])
    assert not _is_alive(call["child"])
    assert "AirflowTaskTimeout" in airflow.log(fake.name, "by-hand", "node")
