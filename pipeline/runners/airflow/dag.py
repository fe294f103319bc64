"""A pipeline of Tapeline's as a DAG: a task for each node of `graph.json` beside this file.

`tapeline compile` put it here; edit the configuration and compile again rather than this. It needs
nothing but Airflow 2: a task is a process of the pipeline's own environment, on this machine.
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pendulum
from airflow.configuration import conf
from airflow.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from airflow.models.baseoperator import BaseOperator
from airflow.models.dag import DAG
from airflow.models.param import Param

EXIT_SKIPPED = 99
EXIT_NOT_BLESSED = 4
HOPELESS = {2: "bad input", 3: "anomalies in the data"}
"""Exit codes of what a retry cannot mend."""

GUARD = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
try:
    os.execv(sys.argv[2], sys.argv[2:])
except OSError as error:
    sys.exit(f"error: {sys.argv[2]}: {error.strerror}; compile the pipeline again on this machine")
"""
"""Becomes the command, which the kernel then kills (PR_SET_PDEATHSIG) when the task's process dies.

In a small interpreter of its own rather than between fork and exec, where a process with threads
may do next to nothing.
"""

WAIT = 86400
"""Seconds that a node waits for another run of the pipeline, such as one started by hand."""

FINISH = "finish"
_POLL = 0.2
_DRAIN_SECONDS = 30
_HOOK_SECONDS = 60


class TapelineTask(BaseOperator):
    """Runs a command of Tapeline's in a process group of its own, and tells its lines."""

    ui_color = "#e8f0fe"

    def __init__(self, *, graph: dict[str, Any], words: list[str], **kwargs: Any):
        super().__init__(**kwargs)
        self.graph = graph
        self.words = words
        self.process: subprocess.Popen[str] | None = None
        self.last_lines: collections.deque[str] = collections.deque(maxlen=20)

    def run(self, context: Any) -> int:
        """Returns the command's exit code; negative: the signal that ended it."""
        run = run_id(self.graph, context["dag_run"])
        command = [*self.graph["command"], *self.words, "--run-id", run]
        self.log.info("run folder %s", run_folder(self.graph, run))
        return self._wait([*command, *self._arguments(context)], context["ti"].job_id is not None)

    def _arguments(self, context: Any) -> list[str]:
        return []

    def _wait(self, command: list[str], is_supervised: bool) -> int:
        self.log.info("$ %s", shlex.join(command))
        supervisor = os.getppid()
        self.process = process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", GUARD, str(os.getpid()), *command],
            cwd=self.graph["working_directory"],
            # Nodes run a user's code, which Airflow's own settings and passwords are none of.
            env={
                key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW__")
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        reader = threading.Thread(target=self._tell, args=[process.stdout], daemon=True)
        reader.start()
        try:
            while not has_ended(process):
                if is_supervised and os.getppid() != supervisor:
                    # Airflow will take this attempt for dead, and start another.
                    end_group(process, grace=0)
                    raise AirflowException("the task's supervisor has died: its process was ended")
                time.sleep(_POLL)
        finally:
            # A timeout and SIGTERM come here as exceptions. What the command left behind ends too:
            # it would hold the pipe, or run beside a retry.
            self.on_kill()
            reader.join(_DRAIN_SECONDS)
        return process.returncode

    def _tell(self, lines: Any) -> None:
        for line in lines:
            self.log.info("%s", line.rstrip())
            if line.strip():
                self.last_lines.append(line.strip())

    def on_kill(self) -> None:
        """Ends the process group: SIGTERM, by which a training saves itself, then SIGKILL."""
        if self.process is not None:
            # Airflow ends the task itself after so many seconds.
            end_group(self.process, 0.8 * conf.getint("core", "killed_task_cleanup_time"))

    def failure(self, code: int) -> AirflowException:
        """Returns the error of an exit code, of a kind that is retried if that can help."""
        how = f"was ended by {signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
        if code == -signal.SIGKILL:
            how = f"{how}, as the kernel does where memory runs out"
        if code in HOPELESS:
            how = f"{how}, {HOPELESS[code]}, which no retry mends"
        cause = next(
            (line for line in self.last_lines if line.startswith(("error:", "failed", "stopped"))),
            self.last_lines[-1] if self.last_lines else "it printed nothing",
        )
        kind = AirflowFailException if code in HOPELESS else AirflowException
        return kind(f"{self.task_id} {how}: {cause}")


class TapelineNode(TapelineTask):
    """Runs one node of the compiled pipeline."""

    def _arguments(self, context: Any) -> list[str]:
        values = parameters(self.graph, context)
        return [word for name in values for word in ("--parameter", f"{name}={values[name]}")]

    def execute(self, context: Any) -> None:
        """Runs the node; raises by its exit code, so that Airflow shows the state it is in."""
        code = self.run(context)
        if code == EXIT_SKIPPED:
            raise AirflowSkipException(f"{self.task_id} is skipped: a condition before it is false")
        if code != 0:
            raise self.failure(code)


class TapelineFinish(TapelineTask):
    """Writes the summary of the run and decides whether the DAG run failed."""

    ui_color = "#e6f4ea"

    def execute(self, context: Any) -> None:
        """Fails if a node did; that a model was not good enough to be pushed is no failure."""
        code = self.run(context)
        failed = failed_nodes(context)
        if failed:
            # Nor would a retry of this task mend that.
            raise AirflowFailException(f"failed in this run: {', '.join(failed)}; see their logs")
        if code == EXIT_NOT_BLESSED:
            self.log.info("not blessed: the model that is served stays as it is")
        elif code != 0:
            raise self.failure(code)


def has_ended(process: subprocess.Popen[str]) -> bool:
    """Returns whether a process has ended, and leaves its number taken for `os.killpg`."""
    if process.returncode is not None:
        return True
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def end_group(process: subprocess.Popen[str], grace: float) -> None:
    """Ends a process that leads its group, and what is left of the group; reaps the process.

    Args:
        grace: seconds between SIGTERM and SIGKILL.
    """
    if process.returncode is not None:
        return
    deadline = time.monotonic() + grace
    if grace > 0 and not has_ended(process):
        os.killpg(process.pid, signal.SIGTERM)
        while not has_ended(process) and time.monotonic() < deadline:
            time.sleep(_POLL)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def signal_name(number: int) -> str:
    """Returns `SIGKILL` for 9."""
    with contextlib.suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


def run_id(graph: dict[str, Any], dag_run: Any) -> str:
    """Returns the name of a DAG run to Tapeline: the same for all its nodes, and for no other's.

    It names a folder. Airflow's own may hold any character, and be that of another DAG too.
    """
    whole = json.dumps([graph["root"], dag_run.dag_id, dag_run.run_id])
    digest = hashlib.sha256(whole.encode()).hexdigest()[:10]
    short = dag_run.run_id.removesuffix("+00:00")
    readable = re.sub(r"[^A-Za-z0-9_.-]+", "-", short).strip("-.")[:80]
    return f"airflow-{readable}-{digest}"


def run_folder(graph: dict[str, Any], run: str) -> str:
    """Returns the folder of a run: its configuration, log and summary."""
    return str(Path(graph["root"], "runs", run))


def summary(graph: dict[str, Any], run: str) -> Any:
    """Returns what Tapeline says of a run; None if the run did not get to it."""
    with contextlib.suppress(OSError, json.JSONDecodeError):
        return json.loads(Path(run_folder(graph, run), "summary.json").read_text(encoding="utf-8"))
    return None


def parameters(graph: dict[str, Any], context: Any) -> dict[str, str]:
    """Returns the runtime parameters that are set: by hand, or the span by the data interval."""
    given = {
        name: str(context["params"][name])
        for name, default in graph["parameters"].items()
        if context["params"][name] not in (None, "", default)
    }
    if graph["airflow"]["span"] == "interval" and "span" not in given:
        start = context["data_interval_start"].in_timezone(graph["airflow"]["timezone"])
        given["span"] = start.date().isoformat()
    return given


def failed_nodes(context: Any) -> list[str]:
    """Returns the nodes that failed in this DAG run."""
    found = context["dag_run"].get_task_instances()
    return sorted(ti.task_id for ti in found if ti.state == "failed" and ti.task_id != FINISH)


def tell_failure(context: Any) -> None:
    """Gives what is known of a failed run to the command of `on_failure`."""
    ti, dag_run = context["ti"], context["dag_run"]
    graph = ti.task.graph
    run = run_id(graph, dag_run)
    tell(
        graph,
        {
            "event": "failed",
            "airflow_run_id": dag_run.run_id,
            "run_id": run,
            "run_dir": run_folder(graph, run),
            "failed": failed_nodes(context),
            "error": str(context.get("exception") or ""),
            "log_url": ti.log_url,
            "summary": summary(graph, run),
        },
    )


def tell_sla_misses(graph: dict[str, Any], misses: list[Any]) -> None:
    """Gives the runs that are late to the command of `on_failure`."""
    for miss in misses:
        # Airflow's manage_slas() counts from the end of a run's interval, by which it names it too.
        tell(graph, {"event": "sla_missed", "scheduled_at": miss.execution_date.isoformat()})


def tell(graph: dict[str, Any], event: dict[str, Any]) -> None:
    """Runs the command of `on_failure`, without a shell; that it fails is only printed."""
    event = {"pipeline": graph["pipeline"], **event}
    try:
        done = subprocess.run(
            graph["airflow"]["on_failure"],
            input=json.dumps(event) + "\n",
            cwd=graph["working_directory"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=_HOOK_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"on_failure: {error}")
    else:
        print(f"on_failure ended with exit code {done.returncode}\n{done.stdout}")


def make_dag(folder: Path) -> DAG:
    """Returns the DAG of the compiled pipeline in a folder."""
    graph = json.loads((folder / "graph.json").read_text(encoding="utf-8"))
    settings = graph["airflow"]
    hook = settings["on_failure"] is not None
    start = settings["start_date"] or "2020-01-01"
    dag = DAG(
        dag_id=graph["pipeline"],
        description=f"Tapeline's {graph['pipeline']}: from raw data to a served model",
        doc_md=dag_page(folder, graph),
        schedule=settings["schedule"],
        start_date=pendulum.parse(start, tz=settings["timezone"]),
        catchup=settings["catchup"],
        # Runs share checkpoints and metadata, and each is compared with the one before.
        max_active_runs=1,
        tags=settings["tags"],
        params={
            name: Param(default, type=["null", "string"], description="of this run alone")
            for name, default in graph["parameters"].items()
        },
        sla_miss_callback=(lambda *a: tell_sla_misses(graph, a[3])) if hook else None,
    )
    tasks: dict[str, TapelineTask] = {}
    for node in graph["nodes"]:
        name = node["id"]
        tasks[name] = TapelineNode(
            task_id=name,
            dag=dag,
            graph=graph,
            words=["node", str(folder), name, "--wait", str(WAIT)],
            # The node itself knows whether what was skipped before it keeps it from running.
            trigger_rule="none_failed",
            doc_md=node_page(folder, graph, name),
            **task_settings(settings, settings["nodes"].get(name, {})),
        )
        tasks[name].set_upstream([tasks[upstream] for upstream in node["upstream"]])
    finish = TapelineFinish(
        task_id=FINISH,
        dag=dag,
        graph=graph,
        words=["finish", str(folder)],
        trigger_rule="all_done",
        doc_md="Writes `summary.json` of the run, and fails the DAG run if a node has failed.",
        sla=None if settings["sla"] is None else timedelta(seconds=settings["sla"]),
        on_failure_callback=tell_failure if hook else None,
        **task_settings(settings, {}),
    )
    # Of all, not of the last ones only: those are done as soon as one node before them has failed,
    # while others still run.
    finish.set_upstream(list(tasks.values()))
    return dag


def task_settings(settings: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """Returns Airflow's arguments of a task."""
    merged = {**settings, **{key: value for key, value in overrides.items() if value is not None}}
    found = {
        key: merged[key]
        for key in ("owner", "retries", "retry_exponential_backoff", "pool", "queue")
        if merged[key] is not None
    }
    for key in ("retry_delay", "max_retry_delay", "execution_timeout"):
        if merged[key] is not None:
            found[key] = timedelta(seconds=merged[key])
    return found


def dag_page(folder: Path, graph: dict[str, Any]) -> str:
    """Returns what the DAG's page says, in Markdown."""
    return f"""\
# {graph["pipeline"]}

Compiled by Tapeline into `{folder}`: `config.yaml` is the configuration, `graph.json` the nodes.
Each run has a folder under `{graph["root"]}/runs`, which every task's log names.

| a task | |
| --- | --- |
| is skipped | a condition is false: the model was not blessed, and what is served stays |
| fails at once | bad input, or anomalies in the data: no retry would mend that |
| is retried | anything else; a node that has finished returns at once, a training goes on |

`finish` decides: the DAG run fails if a node failed. *Clear* a failed node, with what comes after
it, to go on in the same run; trigger a new run to begin from the data again.
"""


def node_page(folder: Path, graph: dict[str, Any], name: str) -> str:
    """Returns what a task's page says, in Markdown."""
    command = shlex.join([*graph["command"], "node", str(folder), name, "--run-id", "RUN"])
    return (
        f"Runs the node `{name}`. By hand:\n\n    cd {graph['working_directory']}\n    {command}\n"
    )


dag = make_dag(Path(__file__).resolve().parent)
