"""An operation that fails or is killed: the labels are the old or the new, the history is true."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from serving.config import ServeConfig
from serving.history import DONE, NO_EFFECT, history_file, outcomes, read_history
from serving.operations import rollback
from serving.versions import publish

REPOSITORY = Path(__file__).parents[3]


@pytest.mark.parametrize("call", range(3))
def test_rollback_when_a_file_cannot_be_replaced_then_the_labels_are_as_they_were(
    three, base, root, state, waits, monkeypatch, call
):
    """The first replace serves what is to be loaded, the second moves the label."""
    replace, calls = os.replace, []

    def fail(source, target):
        if len(calls) == call:
            raise OSError(5, "Input/output error")
        calls.append(target)
        replace(source, target)

    monkeypatch.setattr("serving.atomic_files.os.replace", fail)
    if call == 2:
        rollback(base, 1)
        assert state() == ({"stable": 1}, [1])
        return
    with pytest.raises(OSError, match="Input/output"):
        rollback(base, 1)
    labels, served = state()
    assert labels == {"stable": 3}
    assert served == ([2, 3] if call == 0 else [1, 2, 3])
    entries = read_history(history_file(root, "digits"))
    assert outcomes(entries, labels)[-1] == NO_EFFECT

    monkeypatch.undo()
    monkeypatch.setattr("serving.rollout.time.sleep", waits.append)
    rollback(base, 1)
    assert state() == ({"stable": 1}, [1])
    entries = read_history(history_file(root, "digits"))
    assert outcomes(entries, {"stable": 1})[-2:] == [NO_EFFECT, DONE]


def test_rollback_when_the_history_cannot_be_written_then_nothing_changes(
    three, base, root, waits, monkeypatch, snapshot
):
    before = snapshot(root)

    def fail(_path, _line):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("serving.history.append_line", fail)
    with pytest.raises(OSError, match="No space"):
        rollback(base)
    assert snapshot(root) == before


KILLED = """
import os, signal, sys
from pathlib import Path
import serving.atomic_files, serving.rollout
from serving.operations import rollback

calls = {"fsync": os.fsync, "replace": os.replace}
left = {sys.argv[2]: int(sys.argv[3])}


def killing(name):
    def call(*arguments):
        if left.get(name) == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left[name] = left.get(name, 0) - 1
        return calls[name](*arguments)
    return call


os.fsync, os.replace = killing("fsync"), killing("replace")
rollback(Path(sys.argv[1]), 1, poll_seconds=0.0)
print("done")
"""


@pytest.mark.parametrize(
    ("call", "nth", "labels", "served"),
    [
        pytest.param("fsync", 0, {"stable": 3}, [2, 3], id="recording"),
        pytest.param("fsync", 1, {"stable": 3}, [2, 3], id="writing what to load"),
        pytest.param("replace", 0, {"stable": 3}, [2, 3], id="naming what to load"),
        pytest.param("fsync", 2, {"stable": 3}, [1, 2, 3], id="what to load is named"),
        pytest.param("replace", 1, {"stable": 3}, [1, 2, 3], id="moving the label"),
        pytest.param("fsync", 4, {"stable": 1}, [1], id="the label is moved"),
    ],
)
def test_rollback_when_killed_at_each_step_then_history_and_labels_agree_and_again_is_whole(
    three, base, root, state, call, nth, labels, served
):
    command = [sys.executable, "-c", KILLED, str(base), call, str(nth)]
    killed = subprocess.run(command, cwd=REPOSITORY, check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed
    assert state() == (labels, served)
    entries = read_history(history_file(root, "digits"))
    assert entries[-1].operation == "rollback"
    assert outcomes(entries, labels)[-1] == (DONE if labels == {"stable": 1} else NO_EFFECT)

    rollback(base, 1, poll_seconds=0.0)
    assert state() == ({"stable": 1}, [1])
    entries = read_history(history_file(root, "digits"))
    assert outcomes(entries, {"stable": 1})[-1] == DONE
    assert not list(root.glob(".*"))


def test_push_when_earlier_ones_were_killed_after_the_rename_then_the_stable_one_stays_served(
    push_version, base, root, state, write_plain_model, waits
):
    push_version(1), push_version(2)
    for killed in (3, 4, 5):  # what a push has done when it is killed there
        source = write_plain_model(root.parent / f"killed-{killed}", str(killed))
        shutil.move(source, base / str(killed))
    seen = []

    def look(_folder):
        write_plain_model(base / "9", "as soon as the new version is visible")
        seen.append(state())
        shutil.rmtree(base / "9")

    source = write_plain_model(root.parent / "next", "next")
    publish(source, root, "digits", ServeConfig(), {}, look)
    ((labels, served),) = seen
    assert labels == {"stable": 2}
    assert 2 in served, "though there are four newer ones"
    labels, served = state()
    assert labels["stable"] == served[-1] == max(int(name) for name in os.listdir(base))
