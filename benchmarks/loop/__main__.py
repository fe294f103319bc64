"""Times our training loop against those that people use, on a small MLP and a small conv net.

    make bench-loop

All train the same network on the same rows with the same optimizer, and report loss and accuracy.
Each has a process of its own; they are timed in turn, round after round, and a ratio is that of
two loops in one round. CPU is that of the process, all threads: on a machine with other work it
says more than wall time.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.loop import models
from benchmarks.loop.matmul import FLOPS
from benchmarks.loop.problems import PROBLEMS, Problem
from benchmarks.loop.rounds import Competitor, Times, time_in_turn
from benchmarks.report import FOLDER, Column, Row, Spread, format_table, write_json

_LOOPS = (
    Column("loop", "loop"),
    Column("examples_per_second", "examples/s", ",.0f"),
    Column("ratio", "x tutorial"),
    Column("ratio_lowest", "lowest"),
    Column("ratio_highest", "highest"),
    Column("wall_us_per_step", "wall us/step", ",.0f"),
    Column("cpu_us_per_step", "CPU us/step", ",.0f"),
    Column("accuracy", "accuracy", ".3f"),
)
_TARGETS = (
    Column("ours", "ours"),
    Column("loop", "against"),
    Column("ratio", "ratio"),
    Column("ratio_lowest", "lowest"),
    Column("ratio_highest", "highest"),
    Column("cpu_ratio", "CPU ratio"),
    Column("target", "target"),
    Column("met", "met"),
)
_PEAK = (
    Column("loop", "share of the matrix-multiply peak"),
    Column("gflops", "GFLOP/s", ".1f"),
    Column("share", "share", ".1%"),
    Column("share_lowest", "lowest", ".1%"),
    Column("share_highest", "highest", ".1%"),
    Column("cpu_share", "by CPU time", ".1%"),
)


def competitors(problem: Problem) -> list[Competitor]:
    """Returns the loops timed on `problem`."""
    here = "benchmarks.loop"
    return [
        Competitor("eager", f"{here}.eager:make"),
        Competitor("tutorial", f"{here}.tutorial:make"),
        Competitor("tutorial, metrics in graph", f"{here}.tutorial:make_with_metrics_in_graph"),
        *(Competitor(_fit(count), f"{here}.fit:make", count) for count in problem.fit_steps),
        Competitor("orbit", f"{here}.orbit_loop:make", problem.steps_per_call),
        *(Competitor(_ours(n), f"{here}.tapeline_loop:make", n) for n in problem.our_steps),
    ]


def loop_rows(problem: Problem, times: Mapping[str, Times]) -> list[Row]:
    """Returns one row a loop: medians over the rounds, ratios to the tutorial's round by round."""
    rows: list[Row] = []
    for name, of in times.items():
        wall, cpu = Spread.of(of.wall), Spread.of(of.cpu)
        ratio = _speedup(of.wall, times["tutorial"].wall)
        rows.append(
            {
                "table": "loops",
                "problem": problem.kind,
                "loop": name,
                "examples_per_second": problem.batch_size * 1e6 / wall.median,
                "ratio": ratio.median,
                "ratio_lowest": ratio.lowest,
                "ratio_highest": ratio.highest,
                "wall_us_per_step": wall.median,
                "cpu_us_per_step": cpu.median,
                "accuracy": of.accuracy,
            }
        )
    return rows


def target_rows(problem: Problem, times: Mapping[str, Times]) -> list[Row]:
    """Returns one row a promise: ours against another loop, and whether it is kept.

    A ratio below 1 is not behind while some round reached 1: then the gap is within the noise.
    """
    best = _fastest(times, [_fit(count) for count in problem.fit_steps])
    rows: list[Row] = []
    for target in problem.targets:
        name = best if target.loop == "fit(best)" else target.loop
        ours = _ours(problem.steps_per_call) if name == "orbit" else _our_best(problem, times)
        ratio = _speedup(times[ours].wall, times[name].wall)
        noisy = target.ratio == 1.0
        rows.append(
            {
                "table": "targets",
                "problem": problem.kind,
                "ours": ours,
                "loop": f"{name}, the best" if name != target.loop else name,
                "ratio": ratio.median,
                "ratio_lowest": ratio.lowest,
                "ratio_highest": ratio.highest,
                "cpu_ratio": _speedup(times[ours].cpu, times[name].cpu).median,
                "target": target.ratio,
                "met": "yes"
                if (ratio.highest if noisy else ratio.median) >= target.ratio
                else "no",
            }
        )
    return rows


def peak_rows(problem: Problem, times: Mapping[str, Times], matmul: Times) -> list[Row]:
    """Returns the rate of floating-point operations of ours, and its share of a large product's."""
    flops = models.train_flops(models.build_model(problem)) * problem.batch_size

    def shares(ours: Sequence[float], product: Sequence[float]) -> Spread:
        return Spread.of(
            [flops / own / (FLOPS / peak) for own, peak in zip(ours, product, strict=True)]
        )

    name = _our_best(problem, times)
    share = shares(times[name].wall, matmul.wall)
    whole: Row = {
        "loop": "float32 matrix product, 2048 x 2048",
        "gflops": FLOPS / Spread.of(matmul.wall).median / 1e3,
        "share": 1.0,
        "share_lowest": None,
        "share_highest": None,
        "cpu_share": None,
    }
    ours: Row = {
        "loop": f"{problem.kind}, {name}",
        "gflops": flops / Spread.of(times[name].wall).median / 1e3,
        "share": share.median,
        "share_lowest": share.lowest,
        "share_highest": share.highest,
        "cpu_share": shares(times[name].cpu, matmul.cpu).median,
    }
    return [{"table": "peak", "problem": problem.kind, **row} for row in (whole, ours)]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loop", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.2, help="of each loop in each round")
    parser.add_argument("--quick", action="store_true", help="one short round: shows that it runs")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of the JSON file")
    options = parser.parse_args(arguments)
    rounds, seconds = (1, 0.1) if options.quick else (options.rounds, options.seconds)
    rows: list[Row] = []
    # Other work on the machine shows as spread: say how much of it there was before ours.
    print(f"{os.cpu_count()} CPUs, load average {os.getloadavg()[0]:.1f} before the first round")
    for problem in PROBLEMS:
        print(f"{problem.title} ...", file=sys.stderr)
        entrants = competitors(problem)
        if problem.kind == "conv":
            entrants.append(Competitor("matmul", "benchmarks.loop.matmul:make"))
        times = time_in_turn(problem, entrants, rounds, seconds)
        matmul = times.pop("matmul", None)
        tables = [
            (_LOOPS, loop_rows(problem, times)),
            (_TARGETS, target_rows(problem, times)),
        ]
        if matmul is not None:
            tables.append((_PEAK, peak_rows(problem, times, matmul)))
        print(f"\n{problem.title}; Orbit: {problem.steps_per_call} steps a call; {rounds} rounds")
        for columns, table in tables:
            print("\n" + format_table(columns, table), flush=True)
            rows += table
    print(f"\nwritten to {write_json('bench-loop', rows, options.folder)}")


def _fit(steps_per_execution: int) -> str:
    return f"fit({steps_per_execution})"


def _ours(steps_per_call: int) -> str:
    return f"ours({steps_per_call})"


def _our_best(problem: Problem, times: Mapping[str, Times]) -> str:
    return _fastest(times, [_ours(count) for count in problem.our_steps])


def _fastest(times: Mapping[str, Times], names: Sequence[str]) -> str:
    return min(names, key=lambda name: Spread.of(times[name].wall).median)


def _speedup(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Returns how many times as fast the first is, from times a step, round by round."""
    return Spread.of([other / own for own, other in zip(ours, theirs, strict=True)])


if __name__ == "__main__":
    main()
