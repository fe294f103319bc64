"""The rows that are made of measured times."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys

import pytest

from benchmarks.loop.__main__ import competitors, loop_rows, peak_rows, target_rows
from benchmarks.loop.matmul import FLOPS
from benchmarks.loop.problems import PROBLEMS, Target
from benchmarks.loop.rounds import Times

_MLP, _CONV = PROBLEMS
_FAST = dataclasses.replace(
    _MLP,
    fit_steps=(1, 10),
    targets=(Target("tutorial", 10.0), Target("fit(best)", 1.0), Target("orbit", 1.5)),
)


def _times() -> dict[str, Times]:
    return {
        "tutorial": Times(wall=[900.0, 1000.0, 1200.0], cpu=[1000.0] * 3, accuracy=0.9),
        "fit(1)": Times(wall=[500.0] * 3, cpu=[500.0] * 3),
        "fit(10)": Times(wall=[90.0, 101.0, 80.0], cpu=[50.0] * 3),
        "orbit": Times(wall=[140.0, 130.0, 120.0], cpu=[100.0] * 3),
        "ours(50)": Times(wall=[110.0] * 3, cpu=[55.0] * 3),
        "ours(200)": Times(wall=[100.0] * 3, cpu=[50.0] * 3, accuracy=0.8),
    }


def test_loop_rows_give_medians_and_ratios_of_the_same_round():
    ours = loop_rows(_FAST, _times())[-1]
    assert ours["loop"] == "ours(200)"
    assert ours["examples_per_second"] == pytest.approx(32 / 100e-6)
    assert (ours["ratio_lowest"], ours["ratio"], ours["ratio_highest"]) == (9.0, 10.0, 12.0)
    assert (ours["wall_us_per_step"], ours["cpu_us_per_step"]) == (100.0, 50.0)
    assert ours["accuracy"] == 0.8


def test_target_rows_take_the_best_of_both_but_for_orbit_and_call_a_gap_within_the_noise_met():
    tutorial, fit, orbit = target_rows(_FAST, _times())
    assert (tutorial["ratio"], tutorial["cpu_ratio"], tutorial["met"]) == (10.0, 20.0, "yes")
    assert fit["loop"] == "fit(10), the best"
    assert (fit["ratio"], fit["ratio_highest"], fit["met"]) == (0.9, 1.01, "yes")
    assert (fit["ours"], orbit["ours"]) == ("ours(200)", "ours(50)")
    assert (orbit["ratio"], orbit["met"]) == (pytest.approx(130 / 110), "no")


def test_target_of_not_behind_is_missed_when_every_round_is_behind():
    times = _times()
    times["fit(10)"].wall[1] = 99.0
    assert target_rows(_FAST, times)[1]["met"] == "no"


def test_peak_rows_compare_with_the_product_of_the_same_round():
    matmul = Times(wall=[FLOPS / 1e5, FLOPS / 2e5, FLOPS / 1e5], cpu=[FLOPS / 1e5] * 3)
    times = {"ours(10)": Times(wall=[10_000.0] * 3, cpu=[5_000.0] * 3)}
    whole, ours = peak_rows(_CONV, times, matmul)
    assert whole["gflops"] == pytest.approx(100.0)
    assert ours["share"] == pytest.approx(ours["gflops"] / 100.0)
    assert ours["cpu_share"] == pytest.approx(2 * ours["share"])
    assert ours["share_lowest"] == pytest.approx(ours["share"] / 2)


def test_every_target_names_a_loop_that_is_timed():
    for problem in PROBLEMS:
        names = {competitor.name for competitor in competitors(problem)} | {"fit(best)"}
        assert {target.loop for target in problem.targets} <= names


@pytest.mark.slow
def test_quick_run_prints_and_writes_a_row_for_every_loop(repository, tmp_path):
    subprocess.run(["sh", "requirements/bootstrap.sh", "bench"], cwd=repository, check=True)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.loop", "--quick", "--folder", str(tmp_path)],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": f"build/bench-packages{os.pathsep}{repository}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "bench-loop.json").read_text())
    for problem in PROBLEMS:
        timed = [row for row in rows if (row["table"], row["problem"]) == ("loops", problem.kind)]
        assert [row["loop"] for row in timed] == [loop.name for loop in competitors(problem)]
        for row in timed:
            assert row["examples_per_second"] > 0
            assert f"\n{row['loop']} " in done.stdout
    assert [row["problem"] for row in rows if row["table"] == "peak"] == ["conv", "conv"]
