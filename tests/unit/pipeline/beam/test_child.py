"""Processes that end with the one that started them, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.beam.child import child_process
from pipeline.beam.flink.cluster_file import start_time

# Says who it is, and who a child of its own is, which knows nothing of its parent's end.
PARENT_AND_CHILD = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
path = sys.argv[1]
open(path + ".partial", "w").write(f"{os.getpid()} {child.pid}")
os.rename(path + ".partial", path)
time.sleep(600)
"""


def _pids(path: Path) -> list[int]:
    while not path.exists():
        time.sleep(0.05)
    return [int(pid) for pid in path.read_text().split()]


def _wait_until_ended(pids: list[int]) -> None:
    while any(start_time(pid) is not None for pid in pids):
        time.sleep(0.05)


def test_child_when_the_block_ends_then_ends_with_its_own_children(tmp_path):
    with child_process([sys.executable, "-c", PARENT_AND_CHILD, str(tmp_path / "pids")]):
        pids = _pids(tmp_path / "pids")
        assert all(start_time(pid) is not None for pid in pids)
    _wait_until_ended(pids)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_child_when_its_starter_is_killed_then_ends_too(number, tmp_path):
    starter = f"""
import sys, time
from pipeline.beam.child import child_process
with child_process([sys.executable, "-c", {PARENT_AND_CHILD!r}, {str(tmp_path / "pids")!r}]):
    time.sleep(600)
"""
    process = subprocess.Popen([sys.executable, "-c", starter])
    pids = _pids(tmp_path / "pids")
    os.kill(process.pid, number)
    process.wait()
    _wait_until_ended(pids)


def test_child_when_it_takes_no_sigterm_then_is_killed(tmp_path, monkeypatch):
    deaf = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{PARENT_AND_CHILD}"
    with child_process([sys.executable, "-c", deaf, str(tmp_path / "pids")]):
        pids = _pids(tmp_path / "pids")
    _wait_until_ended(pids)


def test_child_when_it_ends_by_itself_then_its_exit_code_is_told():
    with child_process([sys.executable, "-c", "raise SystemExit(7)"]) as process:
        assert process.wait() == 7
