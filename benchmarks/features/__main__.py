"""Times each feature of the training step against the plain step.

    make bench-features

Every variant trains in a process of its own; they are timed in turn, round after round, and a cost
is that of two variants in one round. By CPU, all threads: on a machine with other work it says more
than wall time.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from benchmarks.loop.problems import PROBLEMS
from benchmarks.loop.rounds import Competitor, time_in_turn
from benchmarks.report import FOLDER, Column, Row, Spread, format_table, write_json

_PLAIN = "plain"
_BOUNDS = {
    "clip_global_norm": 0.10,
    "average": 0.10,
    "scalars": 0.10,
    "callbacks": 0.05,
}
"""What a feature may cost; `callbacks` against `scalars`, which they come on top of."""

_VARIANTS = (
    _PLAIN,
    "clip_global_norm",
    "clip_norm",
    "clip_value",
    "average",
    "scalars",
    "callbacks",
    "schedule",
    "decay",
    "groups",
    "regularization",
    "centralization",
    "noise",
    "accumulation",
    "bfloat16",
    "float16",
    "layer_report",
)
_COLUMNS = (
    Column("problem", "network"),
    Column("feature", "feature"),
    Column("cpu_us_per_step", "CPU us/step", ",.0f"),
    Column("cost", "cost", "+.1%"),
    Column("lowest", "lowest", "+.1%"),
    Column("highest", "highest", "+.1%"),
    Column("wall_cost", "wall cost", "+.1%"),
    Column("bound", "bound", ".0%"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="make bench-features")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--seconds", type=float, default=0.3, help="of each turn")
    parser.add_argument("--only", nargs="*", default=_VARIANTS, choices=_VARIANTS)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the rows go as JSON")
    options = parser.parse_args()
    print(f"{os.cpu_count()} CPUs, load average {os.getloadavg()[0]:.1f} before the first round")
    names = [name for name in _VARIANTS if name in {_PLAIN, *options.only}]
    rows: list[Row] = []
    for problem in PROBLEMS:
        competitors = [
            Competitor(name, f"benchmarks.features.variants:{name}", problem.steps_per_call)
            for name in names
        ]
        times = time_in_turn(problem, competitors, options.rounds, options.seconds)
        for name in names:
            base = times["scalars" if name == "callbacks" and "scalars" in times else _PLAIN]
            cost = Spread.of([a / b - 1 for a, b in zip(times[name].cpu, base.cpu, strict=True)])
            wall = Spread.of([a / b - 1 for a, b in zip(times[name].wall, base.wall, strict=True)])
            rows.append(
                {
                    "problem": problem.kind,
                    "feature": name,
                    "cpu_us_per_step": Spread.of(times[name].cpu).median,
                    "cost": cost.median,
                    "lowest": cost.lowest,
                    "highest": cost.highest,
                    "wall_cost": wall.median,
                    "bound": _BOUNDS.get(name),
                }
            )
    print(format_table(_COLUMNS, rows))
    print(f"rows: {write_json('bench-features', rows, options.folder)}")


if __name__ == "__main__":
    main()
