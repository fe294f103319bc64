"""Measures what a request costs the embedded server, and holds it against handlers without one.

    make bench-serving
    .venv/bin/python -m benchmarks.serving --seconds 5 --rounds 5

First every case: REST and gRPC, with batching and without, one process and two, 1, 16 and 64
clients of one row each. Then, in turn, round after round:

- REST at 64 clients: the server, a raw ASGI handler that serves the same model without routes or
  checks, and one that answers a constant. The cost of each is its CPU time for a request, relative
  to the constant's of the same round.
- gRPC at 64 clients: requests a second through the micro-batcher, relative to one call a request.

Load comes from wrk and h2load where they are installed, else from serving.load. It shares the
machine with the server: on one that does other things too, the figures are of those.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.report import Column, Row, Spread, format_table, write_json
from benchmarks.serving.measure import Measured, measure
from benchmarks.serving.model import NAME, Requests, make_requests, save_model
from benchmarks.serving.tools import generator
from serving.config import BatchingConfig
from serving.load import Call, GrpcCall, RestCall
from serving.server_process import RunningServer, embedded_server, server_process
from serving.text_configs import batching_text

BATCHING = BatchingConfig(max_batch_size=64, batch_timeout_micros=5000, max_enqueued_batches=100)
CLIENTS = (1, 16, 64)
MOST_COST = 1.5
LEAST_GAIN = 1.6

CASES = (
    Column("protocol", "protocol"),
    Column("batching", "batching"),
    Column("processes", "processes", ".0f"),
    Column("clients", "clients", ".0f"),
    Column("throughput", "requests/s", ",.0f"),
    Column("p50_ms", "p50 ms"),
    Column("p99_ms", "p99 ms"),
    Column("cpu_us", "CPU us/request", ".0f"),
    Column("generator", "load by"),
)
COSTS = (
    Column("handler", "REST, 64 clients"),
    Column("throughput", "requests/s", ",.0f"),
    Column("cpu_us", "CPU us/request", ".0f"),
    Column("ratio", "of null"),
    Column("lowest", "lowest"),
    Column("highest", "highest"),
    Column("of_raw", "of raw"),
    Column("target", "at most"),
    Column("met", "met"),
)
GAINS = (
    Column("batching", "gRPC, 64 clients"),
    Column("throughput", "requests/s", ",.0f"),
    Column("cpu_us", "CPU us/request", ".0f"),
    Column("ratio", "gain"),
    Column("lowest", "lowest"),
    Column("highest", "highest"),
    Column("target", "at least"),
    Column("met", "met"),
)


class Bench:
    """The model, its requests, and the servers to send them to."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self.version = save_model(folder / NAME)
        self.requests: Requests = make_requests()
        self.parameters = folder / "batching.config"
        self.parameters.write_text(batching_text(BATCHING))
        self._folder = folder
        self._seconds = seconds

    @contextlib.contextmanager
    def server(self, *, batched: bool, processes: int = 1) -> Iterator[RunningServer]:
        flags = [f"--model_name={NAME}", f"--model_base_path={self.version.parent}"]
        if batched:
            flags += ["--enable_batching", f"--batching_parameters_file={self.parameters}"]
        with embedded_server(flags, processes) as server:
            yield server

    @contextlib.contextmanager
    def reference(self, kind: str) -> Iterator[RunningServer]:
        """Starts a handler of `benchmarks.serving.reference`."""
        command = [sys.executable, "-m", "benchmarks.serving.reference", kind, str(self.version)]
        command.append(f"--batching={self.parameters}")
        with server_process(command) as server:
            yield server

    def call(self, server: RunningServer, protocol: str) -> Call:
        if protocol == "REST":
            return RestCall(server.host, server.rest_port, self.requests.path, self.requests.rest)
        return GrpcCall(server.target, self.requests.grpc)

    def measure(self, server: RunningServer, protocol: str, clients: int) -> Measured:
        call = self.call(server, protocol)
        return measure(server.pid, call, clients, self._seconds, self._folder)


def cases(bench: Bench, clients: Sequence[int]) -> list[Row]:
    """Returns a row for each case."""
    rows: list[Row] = []
    for processes in (1, 2):
        for batched in (True, False):
            with bench.server(batched=batched, processes=processes) as server:
                for protocol in ("REST", "gRPC"):
                    for count in clients:
                        found = bench.measure(server, protocol, count)
                        rows.append(
                            {
                                "table": "cases",
                                "protocol": protocol,
                                "batching": "on" if batched else "off",
                                "processes": processes,
                                "clients": count,
                                "throughput": found.load.throughput,
                                "p50_ms": found.load.p50_ms,
                                "p99_ms": found.load.p99_ms,
                                "cpu_us": found.cpu_us,
                                "generator": generator(bench.call(server, protocol)),
                            }
                        )
            print(f"{processes} processes, batching {batched}: done", file=sys.stderr)
    return rows


def side_by_side(bench: Bench, rounds: int, clients: int) -> tuple[list[Row], list[Row]]:
    """Returns what REST costs beside bare handlers, and what gRPC gains from batching."""
    rest: dict[str, list[Measured]] = {"null": [], "raw": [], "server": []}
    grpc: dict[str, list[Measured]] = {"off": [], "on": []}
    with (
        bench.reference("null") as null,
        bench.reference("raw") as raw,
        bench.server(batched=True) as batched,
        bench.server(batched=False) as unbatched,
    ):
        for number in range(1, rounds + 1):
            for name, server in (("null", null), ("raw", raw), ("server", batched)):
                rest[name].append(bench.measure(server, "REST", clients))
            for name, server in (("off", unbatched), ("on", batched)):
                grpc[name].append(bench.measure(server, "gRPC", clients))
            print(f"round {number} of {rounds} done", file=sys.stderr)
    return cost_rows(rest), gain_rows(grpc)


def cost_rows(found: dict[str, list[Measured]]) -> list[Row]:
    """Returns a row for each handler: CPU time for a request, relative to the null handler's."""
    costs = {name: [one.cpu_us for one in measured] for name, measured in found.items()}
    of_null = {
        name: Spread.of([one / null for one, null in zip(cost, costs["null"], strict=True)])
        for name, cost in costs.items()
    }
    of_raw = Spread.of(
        [one / raw for one, raw in zip(costs["server"], costs["raw"], strict=True)]
    ).median
    rows: list[Row] = []
    for name, measured in found.items():
        is_server = name == "server"
        rows.append(
            {
                "table": "cost",
                "handler": name,
                "throughput": Spread.of([one.load.throughput for one in measured]).median,
                "cpu_us": Spread.of(costs[name]).median,
                "ratio": of_null[name].median,
                "lowest": of_null[name].lowest,
                "highest": of_null[name].highest,
                "of_raw": of_raw if is_server else None,
                "target": MOST_COST if is_server else None,
                "met": ("yes" if of_raw <= MOST_COST else "no") if is_server else None,
            }
        )
    return rows


def gain_rows(found: dict[str, list[Measured]]) -> list[Row]:
    """Returns a row with batching off, and one with it on: the gain in requests a second."""
    rates = {name: [one.load.throughput for one in measured] for name, measured in found.items()}
    gain = Spread.of([on / off for on, off in zip(rates["on"], rates["off"], strict=True)])
    rows: list[Row] = []
    for name, measured in found.items():
        is_on = name == "on"
        rows.append(
            {
                "table": "gain",
                "batching": "through the micro-batcher" if is_on else "one call a request",
                "throughput": Spread.of(rates[name]).median,
                "cpu_us": Spread.of([one.cpu_us for one in measured]).median,
                "ratio": gain.median if is_on else 1.0,
                "lowest": gain.lowest if is_on else None,
                "highest": gain.highest if is_on else None,
                "target": LEAST_GAIN if is_on else None,
                "met": ("yes" if gain.median >= LEAST_GAIN else "no") if is_on else None,
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each load")
    parser.add_argument("--rounds", type=int, default=5, help="of what is compared side by side")
    parser.add_argument("--clients", type=int, nargs="+", default=list(CLIENTS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.seconds)
        rows = cases(bench, options.clients)
        costs, gains = side_by_side(bench, options.rounds, max(options.clients))
    print(format_table(CASES, rows))
    print("\n" + format_table(COSTS, costs))
    print("\n" + format_table(GAINS, gains))
    print(f"rows: {write_json('bench-serving', [*rows, *costs, *gains])}")


if __name__ == "__main__":
    main()
