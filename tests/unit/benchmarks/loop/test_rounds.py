"""Real loops in real children: what comes back, and what a failure says."""

from __future__ import annotations

import sys
import tempfile

import pytest

from benchmarks.loop.child import Child
from benchmarks.loop.problems import PROBLEMS
from benchmarks.loop.rounds import Competitor, time_in_turn

_MLP = PROBLEMS[0]


def test_loops_timed_in_turn_each_train_and_report_every_round(tmp_path, monkeypatch):
    loops = [
        Competitor("fit(10)", "benchmarks.loop.fit:make", 10),
        Competitor("ours", "benchmarks.loop.tapeline_loop:make", 50),
    ]
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    times = time_in_turn(_MLP, loops, rounds=3, seconds=0.02)
    assert list(tmp_path.iterdir()) == [], "checkpoints left behind"
    assert list(times) == ["fit(10)", "ours"]
    for of in times.values():
        assert len(of.wall) == len(of.cpu) == 3
        assert min(of.wall) > 0
        assert min(of.cpu) > 0
        # The digits are learnt by then, from the rows and labels that belong together.
        assert of.accuracy > 0.9


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
