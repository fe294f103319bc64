"""Real loops in real children: what comes back, and what a failure says."""

from __future__ import annotations

import dataclasses
import importlib
import sys
import tempfile

import pytest

from benchmarks.loop.child import Child
from benchmarks.loop.problems import PROBLEMS
from benchmarks.loop.rounds import Competitor, time_in_turn
from benchmarks.loop.training import Clock

_MLP = PROBLEMS[0]
_SHORT = dataclasses.replace(_MLP, fit_epoch=200)


_COUNTING = """
import tempfile
from benchmarks.loop.training import Taken

def make(problem, steps_per_call):
    tempfile.mkdtemp()
    def run(steps, clock):
        with open({log!r}, "a") as log:
            print(steps_per_call, file=log)
        sum(range(10_000 * steps))
        return Taken(steps, 0.5, 0.25)
    return run
"""


def test_loops_timed_in_turn_each_train_and_report_every_round(tmp_path, monkeypatch):
    (tmp_path / "code").mkdir()
    (tmp_path / "folders").mkdir()
    log = tmp_path / "log"
    (tmp_path / "code" / "counting.py").write_text(_COUNTING.format(log=str(log)))
    monkeypatch.setattr(sys, "path", [str(tmp_path / "code"), *sys.path])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "folders"))
    loops = [Competitor("one", "counting:make", 1), Competitor("ten", "counting:make", 10)]
    times = time_in_turn(_MLP, loops, rounds=3, seconds=0.02)
    assert list((tmp_path / "folders").iterdir()) == [], "checkpoints left behind"
    assert list(times) == ["one", "ten"]
    for of in times.values():
        assert len(of.wall) == len(of.cpu) == 3
        assert min(of.wall) > 0
        assert min(of.cpu) > 0
        assert of.accuracy == 0.25
    # After the first calls, which trace, and the trials.
    assert log.read_text().split()[4:] == ["1", "10", "10", "1", "1", "10"]


@pytest.mark.parametrize(
    ("make", "steps_per_call"),
    [
        pytest.param("benchmarks.loop.tapeline_loop:make", 50, id="ours"),
        # Keras' own code takes minutes to trace on a busy machine.
        pytest.param("benchmarks.loop.fit:make", 10, id="fit", marks=pytest.mark.slow),
    ],
)
def test_loop_when_it_has_run_then_has_learnt_the_digits(
    make, steps_per_call, tmp_path, monkeypatch
):
    """From the rows and labels that belong together."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    module, _, function = make.partition(":")
    run = getattr(importlib.import_module(module), function)(_SHORT, steps_per_call)
    taken = [run(steps, Clock()) for steps in (400, 200)][-1]
    assert taken.steps >= 200
    assert taken.accuracy > 0.9


def test_child_whose_loop_cannot_be_made_says_why():
    child = Child("benchmarks.loop.missing:make", _MLP, 1)
    try:
        with pytest.raises(RuntimeError, match=r"missing:make failed: (.|\n)*No module named"):
            child.ready()
    finally:
        child.close()


def test_child_that_dies_says_how(tmp_path, monkeypatch):
    (tmp_path / "dying_loop.py").write_text(
        "import os\nmake = lambda problem, calls: lambda steps, clock: steps > 1 and os._exit(7)\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    child = Child("dying_loop:make", _MLP, 1)
    try:
        child.ready()
        with pytest.raises(RuntimeError, match="dying_loop:make failed: exit code 7"):
            child.run(2)
    finally:
        child.close()
