"""Times whole runs on the Chicago taxi trips, repeated to more and more rows.

    make bench-growth

Each is what `tapeline init` writes for its data, with the same batch size and number of epochs for
all, so that a row is the same work to every node. The table has the microseconds that each node
takes per row, and the most memory that the run's processes held together.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import Column, Row, format_table, write_json
from benchmarks.taxi import init, taxi_csv
from benchmarks.tiles import tile
from benchmarks.watched import watch

ROWS = (15_000, 150_000, 1_500_000)
WHOLE, MEMORY = "whole run", "peak memory, MiB"


@dataclass(frozen=True)
class Grown:
    """One whole run: its rows, wall time in seconds, that of each node, and peak memory."""

    rows: int
    seconds: float
    nodes: Mapping[str, float]
    peak_mib: float


def main() -> None:
    options = _parser().parse_args()
    settings = ["train.batch_size=256", f"train.epochs={options.epochs}", *options.set]
    runs = []
    for rows in options.rows:
        with tempfile.TemporaryDirectory(dir=options.work) as work:
            runs.append(_run(rows, settings, Path(work)))
        print(f"{rows} rows: {runs[-1].seconds:.0f} s", file=sys.stderr)
    table = growth_rows(runs)
    columns = [Column("node", "microseconds per row")]
    columns += [Column(str(run.rows), f"{run.rows:,} rows", ".1f") for run in runs]
    print(format_table(columns, table))
    write_json("growth", table)


def growth_rows(runs: Sequence[Grown]) -> list[Row]:
    """Returns a row for each node, for the whole run, and for the memory; a column for each run."""
    names = list(dict.fromkeys(name for run in runs for name in run.nodes))
    rows: list[Row] = [
        {
            "node": name,
            **{str(run.rows): 1e6 * run.nodes[name] / run.rows for run in runs},
        }
        for name in names
    ]
    whole = {str(run.rows): 1e6 * run.seconds / run.rows for run in runs}
    memory = {str(run.rows): run.peak_mib for run in runs}
    return [*rows, {"node": WHOLE, **whole}, {"node": MEMORY, **memory}]


def _run(rows: int, settings: Sequence[str], work: Path) -> Grown:
    csv, config = work / "trips.csv", work / "trips.yaml"
    tile(taxi_csv(), rows, csv)
    init(csv, config)
    overrides = [part for item in [f"root={work}/runs", *settings] for part in ("--set", item)]
    command = [sys.executable, "-m", "pipeline.cli", "run", str(config), "--json", *overrides]
    done = watch(command)
    summary = json.loads(done.stdout.splitlines()[-1])
    nodes = {node["name"]: node["seconds"] for node in summary["nodes"]}
    return Grown(rows, done.seconds, nodes, done.peak_mib)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.growth",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS, metavar="N")
    parser.add_argument("--epochs", type=int, default=1, help="of each training (default 1)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--work", type=Path, help="folder for data and runs; with room for both")
    return parser


if __name__ == "__main__":
    main()
