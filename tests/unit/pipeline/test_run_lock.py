"""Who may hold a pipeline's root beside whom; each holder is a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from pipeline.run_lock import LOCK_FILE, RootBusy, hold_node, hold_root

_HOLDER = """
import sys
from pathlib import Path
from pipeline.run_lock import hold_root
with hold_root(Path(sys.argv[1]), sys.argv[2], shared=sys.argv[3] == "shared"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Starts processes that hold the root until they are let go, or killed."""
    started = []

    def start(run_id, kind="alone"):
        process = subprocess.Popen(
            [sys.executable, "-c", _HOLDER, str(tmp_path), run_id, kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("shared", [True, False])
def test_root_when_another_run_holds_it_then_is_refused_and_says_who(holder, tmp_path, shared):
    process = holder("first")
    with (
        pytest.raises(RootBusy, match=f"where run first is going on .process {process.pid}, since"),
        hold_root(tmp_path, "second", shared),
    ):
        pass


def test_root_when_nodes_of_one_run_share_it_then_those_of_another_do_not(holder, tmp_path):
    holder("first", "shared")
    holder("first", "shared")
    with hold_root(tmp_path, "first", shared=True):
        pass
    with pytest.raises(RootBusy, match="run first"), hold_root(tmp_path, "second", shared=True):
        pass
    with pytest.raises(RootBusy), hold_root(tmp_path, "first"):
        pass


def test_root_when_its_holder_was_killed_then_is_free(holder, tmp_path):
    process = holder("first")
    process.send_signal(signal.SIGKILL)
    process.wait()
    with hold_root(tmp_path, "second"):
        assert '"second"' in (tmp_path / LOCK_FILE).read_text()


def test_root_when_waited_for_then_says_so_once_and_is_had_when_it_is_free(holder, tmp_path):
    process = holder("first")
    told = []

    def waiting(text):
        told.append(text)
        process.stdin.close()  # only now does the other end

    with hold_root(tmp_path, "second", wait=60.0, waiting=waiting):
        pass
    (text,) = told
    assert text.startswith(f"waiting for {tmp_path}, where run first is going on")


def test_root_when_the_last_of_a_run_lets_go_then_another_run_may_share_it(holder, tmp_path):
    first = holder("first", "shared")
    first.communicate("")
    with hold_root(tmp_path, "second", shared=True):
        pass


def test_node_when_an_attempt_still_runs_then_is_waited_for(tmp_path):
    order, told = [], threading.Event()

    def second():
        with hold_node(tmp_path, "Trainer", lambda text: (order.append(text), told.set())):
            order.append("second")

    with hold_node(tmp_path, "Trainer"):
        thread = threading.Thread(target=second)
        thread.start()
        assert told.wait(60)
        order.append("first ends")
    thread.join(60)
    assert order[0].startswith("Trainer still runs in process ")
    assert order[1:] == ["first ends", "second"]


def test_nodes_when_they_are_different_then_run_side_by_side(tmp_path):
    with hold_node(tmp_path, "Trainer"), hold_node(tmp_path, "StatisticsGen"):
        pass
