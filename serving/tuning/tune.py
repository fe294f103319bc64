"""Tunes batching for one model on this machine: the curve, the search, and the proof.

The proof is a load test of the chosen parameters and of TF Serving's defaults, both servers up and
asked in turn: what else the machine does then falls on both.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from serving.config import BatchingConfig
from serving.load import Call, GrpcCall, LoadResult, run_load
from serving.server_process import embedded_server
from serving.text_configs import VERSION_BATCHING_FILE, batching_text, parse_batching
from serving.tuning.candidates import BatchCost, with_options
from serving.tuning.curve import batch_sizes, measure_curve
from serving.tuning.requests import TuningRequest
from serving.tuning.search import Trial, search

_PROOFS = 3
"""How many of the best are put to the proof before the search counts as failed."""


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Attributes:
        curve_seconds: for each batch size.
        load_seconds: for each load test.
        steps: of the search, from its best candidate.
        rounds: of the proof; of its figures the median counts.
    """

    curve_seconds: float = 0.5
    load_seconds: float = 2.0
    steps: int = 2
    rounds: int = 3


@dataclass(frozen=True)
class Goal:
    """What the parameters are for: 99 of 100 requests within `p99_ms`, from so many clients."""

    p99_ms: float
    clients: int
    cores: int


@dataclass(frozen=True)
class Proof:
    """The load tests that decide: figures are medians of the rounds, errors are all of them."""

    chosen: Trial
    defaults: Trial

    def holds(self, goal: Goal) -> bool:
        """Returns whether the target is met, and the defaults are beaten."""
        return self.chosen.meets(goal.p99_ms) and (
            self.chosen.result.throughput > self.defaults.result.throughput
        )


def tf_serving_defaults() -> BatchingConfig:
    """Returns the parameters of a server whose batching is on and that is given none."""
    return parse_batching("")


def present_parameters(version: Path) -> BatchingConfig:
    """Returns what a version is batched by now; the defaults if it has no parameters."""
    path = version / VERSION_BATCHING_FILE
    return parse_batching(path.read_text()) if path.is_file() else BatchingConfig()


def measure_model(version: Path, request: TuningRequest, effort: Effort) -> list[BatchCost]:
    """Returns the curve of the signature that the request asks."""
    return measure_curve(
        version, request.signature, request.inputs, batch_sizes(), effort.curve_seconds
    )


def tune(
    version: Path,
    request: TuningRequest,
    curve: Sequence[BatchCost],
    goal: Goal,
    effort: Effort,
    tell: Callable[[Trial], None] = lambda _: None,
) -> Iterator[Proof]:
    """Searches, and yields a proof of one of the best after the other, until one holds.

    All are tested with the options that the version has now, see `with_options`.

    Args:
        version: folder of the SavedModel, which is served from a folder of links.
        tell: is told of each load test of the search.

    Raises:
        serving.tuning.candidates.TargetOutOfReach: if the model alone is too slow.
        serving.server_process.ServerFailed, serving.load.LoadFailed: if it cannot be measured.
    """
    present = present_parameters(version)

    def measure(config: BatchingConfig) -> LoadResult:
        with _served(version, request.model, with_options(config, present)) as call_of:
            result = run_load(call_of(request), goal.clients, effort.load_seconds)
        tell(Trial(config, result))
        return result

    trials = search(curve, goal.p99_ms, goal.clients, goal.cores, measure, effort.steps)
    for trial in trials[:_PROOFS]:
        chosen = with_options(trial.config, present)
        proof = prove(version, request, chosen, goal, effort)
        yield proof
        if proof.holds(goal):
            return


def prove(
    version: Path, request: TuningRequest, config: BatchingConfig, goal: Goal, effort: Effort
) -> Proof:
    """Load-tests parameters and TF Serving's defaults in turn."""
    defaults = tf_serving_defaults()
    found: dict[str, list[LoadResult]] = {"chosen": [], "defaults": []}
    with (
        _served(version, request.model, config) as chosen_call,
        _served(version, request.model, defaults) as defaults_call,
    ):
        for _ in range(effort.rounds):
            for name, call_of in (("chosen", chosen_call), ("defaults", defaults_call)):
                result = run_load(call_of(request), goal.clients, effort.load_seconds)
                found[name].append(result)
    return Proof(
        Trial(config, _middle(found["chosen"])), Trial(defaults, _middle(found["defaults"]))
    )


@contextlib.contextmanager
def _served(
    version: Path, model: str, config: BatchingConfig
) -> Iterator[Callable[[TuningRequest], Call]]:
    """Serves one version with these parameters; yields what makes a call of a request.

    From a folder of its own, so that no other version is loaded beside it, and without the
    version's own parameters and warmup, which are for other sizes.
    """
    with tempfile.TemporaryDirectory(prefix="tapeline-tuning-") as folder:
        base = Path(folder, model)
        base.mkdir()
        os.symlink(version.resolve(), base / "1")
        parameters = Path(folder, "batching.config")
        parameters.write_text(batching_text(config))
        flags = [
            f"--model_name={model}",
            f"--model_base_path={base}",
            "--enable_batching",
            f"--batching_parameters_file={parameters}",
            "--enable_model_warmup=false",
        ]
        with embedded_server(flags) as server:
            yield lambda request: GrpcCall(server.target, request.message, request.method)


def _middle(results: Sequence[LoadResult]) -> LoadResult:
    """Returns the medians of several loads of equal length, and the errors of all."""
    errors: dict[str, int] = {}
    for result in results:
        for kind, count in result.errors.items():
            errors[kind] = errors.get(kind, 0) + count
    return LoadResult(
        requests=round(median(result.requests for result in results)),
        errors=errors,
        seconds=results[0].seconds,
        p50_ms=median(result.p50_ms for result in results),
        p99_ms=median(result.p99_ms for result in results),
        total=sum(result.total for result in results),
    )
