"""`make airflow`: an Airflow for people to look at, on loopback, that leaves nothing running."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.airflow.conftest import LocalAirflow, wait_for

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(7200)]


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _descendants(pid: int) -> list[Path]:
    """Returns the /proc folders of what a process has started, and of what those have."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            stat = (path / "stat").read_text().rpartition(")")[2].split()
            parents[int(path.name)] = int(stat[1])
    found, inner = [], [pid]
    while inner:
        inner = [child for child, parent in parents.items() if parent in inner]
        found += inner
    return [Path("/proc", str(child)) for child in found]


def _listening(process: Path) -> set[str]:
    """Returns the addresses that a process listens on, as the kernel writes them."""
    try:
        inodes = {os.readlink(link).strip("socket:[]") for link in (process / "fd").iterdir()}
        tables = [(process / "net" / name).read_text() for name in ("tcp", "tcp6")]
    except OSError:
        return set()
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    return {row[1].partition(":")[0] for row in rows if row[3] == "0A" and row[9] in inodes}


def test_standalone_when_started_then_the_dag_is_there_and_ctrl_c_ends_it_all(repository, tmp_path):
    home, port = tmp_path / "home", _free_port()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "pipeline.runners.airflow.standalone"),
            *("configs/digits.yaml", "--home", str(home), "--port", str(port)),
        ],
        cwd=repository,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("end "):
                break
        text = "".join(said)
        assert f"ready      http://127.0.0.1:{port}/dags/digits/grid" in text
        password = (home / "standalone_admin_password.txt").read_text().strip()
        assert re.search(rf"log in +admin, {password}$", text, re.MULTILINE)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health") as answer:
            assert json.load(answer)["metadatabase"]["status"] == "healthy"
        airflow = LocalAirflow(repository / ".venv-airflow", home, {})
        wait_for("the DAG", lambda: "digits" in airflow("dags", "list"))
        assert "digits" in airflow("dags", "list")
        assert airflow.runs("digits") == {}, "paused until someone switches it on"
        started = _descendants(process.pid)
        addresses = set().union(*map(_listening, started))
        assert addresses == {"0100007F"}
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(120)
    assert process.returncode == 130
    wait_for("the end of all", lambda: not any(path.exists() for path in started), 60)


def test_standalone_when_the_port_is_taken_then_says_so_and_starts_nothing(repository, tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pipeline.runners.airflow.standalone"),
                *("configs/digits.yaml", "--home", str(tmp_path / "home"), "--port", port),
            ],
            cwd=repository, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert f"--port: found {port}, taken; allowed: another" in done.stderr
    assert not (tmp_path / "home" / "airflow.db").exists()
