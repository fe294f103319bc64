"""A real Airflow of the tests' own: SQLite, a folder that goes away, no port."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pipeline.runners.airflow.standalone import airflow_environment

PATIENCE = 900.0
"""Seconds after which something that is waited for will not come."""


class Task(NamedTuple):
    """What Airflow says of a task of a DAG run."""

    state: str | None
    tries: int


def wait_for(what: str, found: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """Returns what is found once it is something."""
    deadline = time.monotonic() + seconds
    while True:
        value = found()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what} does not come"
        time.sleep(0.2)


class LocalAirflow:
    """An Airflow with a database and a folder of DAGs."""

    def __init__(self, environment: Path, home: Path, settings: Mapping[str, str]) -> None:
        self.home = home
        self.dags = home / "dags"
        self._environment = environment
        self._variables = {
            **airflow_environment(environment, home),
            # Attempts that nobody looks after any more are found after five minutes otherwise.
            "AIRFLOW__SCHEDULER__SCHEDULER_ZOMBIE_TASK_THRESHOLD": "30",
            "AIRFLOW__SCHEDULER__ZOMBIE_DETECTION_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            **settings,
        }

    def __call__(self, *words: str, code: int | None = 0) -> str:
        """Runs an `airflow` command and returns what it printed.

        Args:
            code: that it has to end with; None: any.
        """
        done = subprocess.run(
            [str(self._environment / "bin" / "airflow"), *words],
            env=self._variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert code is None or done.returncode == code, done.stdout
        return done.stdout

    def python(self, program: str, *words: str) -> str:
        """Runs a program in Airflow's environment and returns what it printed."""
        done = subprocess.run(
            [str(self._environment / "bin" / "python"), "-W", "ignore", "-c", program, *words],
            env=self._variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def import_errors(self) -> list[Any]:
        """Returns the DAG files that Airflow could not import, with why."""
        text = self("dags", "list-import-errors", "-o", "json", code=None)
        (answer,) = [line for line in text.splitlines() if line == "[]" or line.startswith("[{")]
        errors: list[Any] = json.loads(answer)
        return errors

    @contextlib.contextmanager
    def scheduler(self) -> Iterator[None]:
        """Runs the real scheduler, which runs the tasks."""
        with (self.home / "scheduler.log").open("w") as log:
            process = subprocess.Popen(
                [str(self._environment / "bin" / "airflow"), "scheduler", "--skip-serve-logs"],
                env=self._variables,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield
            assert process.poll() is None, (self.home / "scheduler.log").read_text()[-4000:]
        finally:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(20)

    def runs(self, dag: str) -> dict[str, str]:
        """Returns the states of the DAG runs by their ids, the first interval first."""
        query = "select run_id, state from dag_run where dag_id = ? order by execution_date"
        return dict(self._query(query, dag))

    def tasks(self, dag: str, run: str) -> dict[str, Task]:
        query = "select task_id, state, try_number from task_instance where dag_id=? and run_id=?"
        return {name: Task(state, tries) for name, state, tries in self._query(query, dag, run)}

    def log(self, dag: str, run: str, task: str, attempt: int = 1) -> str:
        """Returns the log of an attempt that the scheduler started, as the web page shows it."""
        folder = self.home / "logs" / f"dag_id={dag}" / f"run_id={run}" / f"task_id={task}"
        return (folder / f"attempt={attempt}.log").read_text()

    def _query(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.home / "airflow.db", timeout=60)) as database:
            return database.execute(query, values).fetchall()


@pytest.fixture(scope="session")
def airflow_home(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an Airflow in which nothing has happened yet, to be copied."""
    home = tmp_path_factory.mktemp("airflow") / "home"
    (home / "dags").mkdir(parents=True)
    LocalAirflow(repository / ".venv-airflow", home, {})("db", "migrate")
    (home / "airflow.cfg").unlink()  # which names this folder
    shutil.rmtree(home / "logs")
    return home


@pytest.fixture(scope="session")
def make_airflow(
    repository: Path, airflow_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., LocalAirflow]:
    """Makes an Airflow of its own for a test or a module; settings are environment variables."""

    def make(**settings: str) -> LocalAirflow:
        home = tmp_path_factory.mktemp("airflow") / "home"
        shutil.copytree(airflow_home, home)
        return LocalAirflow(repository / ".venv-airflow", home, settings)

    return make
