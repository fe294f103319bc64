"""Times the data nodes of a configuration in one process, in several, and on Flink.

    make bench-engines
    make bench-engines BENCH_ENGINES="--config taxi.yaml --csv data.csv --rows 15000 1500000"

The data nodes are ExampleGen to Transform. With --csv, `data.path` becomes that file with its rows
over and over. The ratio is to one process on the same rows, in the same call. The cluster is
started before the clock; each job's own start counts. Flink needs Java 17 and Maven.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.engines.measure import Cost, flink_cluster, measure
from benchmarks.report import Column, Row, format_table, write_json
from benchmarks.tiles import tile

REPOSITORY = Path(__file__).resolve().parents[2]
ENGINES = ("in_memory", "multi_processing", "flink-1", "flink-2")
"""The number is the parallelism."""

COLUMNS = (
    Column("rows", "rows", ".0f"),
    Column("engine", "engine"),
    Column("seconds", "data nodes s", ".1f"),
    Column("ratio", "ratio"),
    Column("peak_mib", "peak RSS MiB", ".0f"),
)


def main() -> None:
    options = _parser().parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        for number in options.rows if options.csv else [None]:
            overrides = list(options.set)
            if options.csv is not None:
                data = Path(work, f"{number}.csv")
                tile(options.csv, number, data)
                overrides.append(f"data.path={data}")
            first: Cost | None = None
            for engine in options.engines:
                cost = _cost(engine, options.config, overrides, Path(work))
                first = first or cost
                rows.append(
                    {
                        "rows": number,
                        "engine": engine,
                        "seconds": cost.seconds,
                        "ratio": cost.seconds / first.seconds,
                        "peak_mib": cost.peak_mib,
                    }
                )
                print(f"{number or 'all'} rows, {engine}: {cost.seconds:.1f} s", file=sys.stderr)
    print(format_table(COLUMNS, rows))
    write_json("engines", rows)


def _cost(engine: str, config: str, overrides: list[str], work: Path) -> Cost:
    with tempfile.TemporaryDirectory(dir=work) as root:
        overrides = [*overrides, f"root={root}/runs"]
        if not engine.startswith("flink-"):
            return measure(config, [*overrides, f"beam={{running_mode: {engine}}}"])
        parallelism = engine.removeprefix("flink-")
        with flink_cluster(Path(root, "flink"), REPOSITORY / "build" / "flink") as (file, launcher):
            beam = f"beam={{engine: flink, cluster: '{file}', parallelism: {parallelism}}}"
            return measure(config, [*overrides, beam], [launcher])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.engines",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", default=str(REPOSITORY / "configs" / "digits.yaml"))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--csv", type=Path, help="a CSV with a header, to be tiled")
    parser.add_argument("--rows", type=int, nargs="+", default=[15_000, 1_500_000], metavar="N")
    parser.add_argument(
        "--engines", nargs="+", choices=ENGINES, default=list(ENGINES), metavar="ENGINE",
        help=f"of {', '.join(ENGINES)}; the ratio is to the first",
    )  # fmt: skip
    parser.add_argument("--work", type=Path, help="folder for data and runs; with room for both")
    return parser


if __name__ == "__main__":
    main()
