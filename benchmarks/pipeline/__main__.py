"""Times a whole run on the Chicago taxi trips against TFX's own taxi example, as it is shipped.

    make bench-pipeline

Both read the same CSV and take the same number of training steps; Tapeline's configuration is what
`tapeline init` writes but for the batch size and the epochs that make those steps. The two run in
turn, round after round, each from nothing and in processes of its own; the ratio is the median over
the rounds. Then both are trained on one and the same split, Tapeline also as `tapeline init` writes
it with no edit, and their AUC on its test rows is printed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.pipeline.splits import write_splits
from benchmarks.pipeline.tfx_example import (
    MODULE,
    STEPS,
    node_seconds,
    prepare_home,
    pushed_model,
)
from benchmarks.report import Column, Row, Spread, format_table, write_json
from benchmarks.taxi import init, taxi_csv
from benchmarks.watched import watch

ALLOWED = 0.5
EPOCHS, BATCH = 4, 42
"""STEPS steps on 70% of the trips, none of them smaller than the example's 40 rows."""

WHOLE, REST = "whole run", "start, and between nodes"

TIMES = (
    Column("node", ""),
    Column("tfx", "TFX's example s", ".1f"),
    Column("tapeline", "tapeline s", ".1f"),
    Column("ratio", "ratio"),
    Column("lowest", "lowest"),
    Column("highest", "highest"),
)
AUCS = (
    Column("model", "on one split"),
    Column("steps", "steps", ".0f"),
    Column("float64", "test AUC", ".4f"),
    Column("float32", "by a float32 label", ".4f"),
)


@dataclass(frozen=True)
class Timed:
    """One whole run: its wall time in seconds, and of it that of each node."""

    seconds: float
    nodes: Mapping[str, float]


def main() -> None:
    options = _parser().parse_args()
    with tempfile.TemporaryDirectory() as work:
        config = Path(work, "taxi.yaml")
        init(taxi_csv(), config)
        rounds = []
        for number in range(1, options.rounds + 1):
            tfx = _tfx(Path(work, f"tfx-{number}"))
            ours, _ = _tapeline(config, Path(work, f"tapeline-{number}"), *_same_steps())
            rounds.append((tfx, ours))
            print(
                f"round {number} of {options.rounds}: TFX's example {tfx.seconds:.1f} s, "
                f"tapeline {ours.seconds:.1f} s",
                file=sys.stderr,
            )
        times = time_rows(rounds)
        print(format_table(TIMES, times))
        print(f"\nallowed: {ALLOWED} of TFX's wall time\n")
        aucs = [] if options.no_auc else _aucs(config, Path(work, "auc"))
        if aucs:
            print(format_table(AUCS, aucs))
    write_json("pipeline", [*times, *aucs])


def time_rows(rounds: list[tuple[Timed, Timed]]) -> list[Row]:
    """Returns a row for each node, for what is between them, and for the whole run."""
    names = list(dict.fromkeys(name for pair in rounds for run in pair for name in run.nodes))
    rows: list[Row] = []
    for name in [*names, REST, WHOLE]:
        pairs = [(_of(tfx, name), _of(ours, name)) for tfx, ours in rounds]
        row: dict[str, Any] = {"node": name, "ratio": None, "lowest": None, "highest": None}
        for key, values in zip(("tfx", "tapeline"), zip(*pairs, strict=True), strict=True):
            there = [value for value in values if value is not None]
            row[key] = statistics.median(there) if there else None
        if name == WHOLE:
            ratios = Spread.of([ours / tfx for tfx, ours in pairs if tfx and ours])
            row |= {"ratio": ratios.median, "lowest": ratios.lowest, "highest": ratios.highest}
        rows.append(row)
    return rows


def _of(run: Timed, name: str) -> float | None:
    if name == WHOLE:
        return run.seconds
    return run.seconds - sum(run.nodes.values()) if name == REST else run.nodes.get(name)


def _same_steps() -> list[str]:
    return ["--set", f"train.epochs={EPOCHS}", "--set", f"train.batch_size={BATCH}"]


def _tfx(home: Path) -> Timed:
    env = prepare_home(home)
    done = watch([sys.executable, "-m", MODULE], env=env)
    pushed_model(home)
    return Timed(done.seconds, node_seconds(home))


def _tapeline(config: Path, root: Path, *arguments: str) -> tuple[Timed, dict[str, Any]]:
    command = [sys.executable, "-m", "pipeline.cli", "run", str(config), "--json"]
    done = watch([*command, "--set", f"root={root}", *arguments])
    summary = json.loads(done.stdout.splitlines()[-1])
    return Timed(done.seconds, {n["name"]: n["seconds"] for n in summary["nodes"]}), summary


def _aucs(config: Path, work: Path) -> list[Row]:
    _, same = _tapeline(config, work / "same", *_same_steps())
    _, full = _tapeline(config, work / "init")
    examples = max((work / "init").glob("*/artifacts/ExampleGen/examples/*"))
    home = work / "tfx"
    splits = work / "splits"
    write_splits(config, splits)
    watch(
        [sys.executable, "-m", "benchmarks.pipeline.tfx_example", str(splits)], prepare_home(home)
    )
    runs = {
        "TFX's example": (STEPS, f"{pushed_model(home)}:outputs"),
        "tapeline, as many steps": (same["training"]["steps"], f"{same['servable']}:score"),
        "tapeline, as init writes it": (full["training"]["steps"], f"{full['servable']}:score"),
    }
    models = [model for _, model in runs.values()]
    command = [sys.executable, "-m", "benchmarks.pipeline.auc", str(examples), *models]
    measured = json.loads(watch(command).stdout.splitlines()[-1])
    return [
        {"model": name, "steps": float(steps), **aucs}
        for (name, (steps, _)), aucs in zip(runs.items(), measured, strict=True)
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pipeline",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=3, help="of both (default 3)")
    parser.add_argument("--no-auc", action="store_true", help="only the times")
    return parser


if __name__ == "__main__":
    main()
