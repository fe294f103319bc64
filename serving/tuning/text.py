"""What tuning tells a person: the curve as a table, each load test as a line, the parameters."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from serving.config import BatchingConfig
from serving.tuning.candidates import BatchCost
from serving.tuning.search import Trial
from serving.tuning.tune import Goal, Proof

_FIELDS = (
    "max_batch_size",
    "allowed_batch_sizes",
    "batch_timeout_micros",
    "num_batch_threads",
    "max_enqueued_batches",
)


def curve_lines(curve: Sequence[BatchCost]) -> Iterator[str]:
    """Yields a table: milliseconds of a call and rows a second, by batch size."""
    yield f"{'batch':>6}  {'median ms':>9}  {'p99 ms':>9}  {'rows/s':>9}"
    for cost in curve:
        yield (
            f"{cost.size:>6}  {cost.median_ms:>9.3f}  {cost.p99_ms:>9.3f}  "
            f"{cost.rows_per_second:>9,.0f}"
        )


def trial_line(name: str, trial: Trial) -> str:
    """Returns a load test in one line."""
    config, result = trial.config, trial.result
    errors = ", ".join(f"{count} {kind}" for kind, count in sorted(result.errors.items()))
    return (
        f"{name:<9}batch {config.max_batch_size:>4}  wait {config.batch_timeout_micros:>6} us  "
        f"threads {config.num_batch_threads}  {result.throughput:>7,.0f}/s  "
        f"p50 {result.p50_ms:6.1f} ms  p99 {result.p99_ms:6.1f} ms"
        f"{f'  errors: {errors}' if errors else ''}"
    )


def yaml_lines(config: BatchingConfig) -> Iterator[str]:
    """Yields the parameters as a part of a run's configuration."""
    yield "serve:"
    yield "  batching:"
    set_options = config.model_dump(exclude_defaults=True, exclude=set(_FIELDS))
    for field in (*_FIELDS, *set_options):
        yield f"    {field}: {json.dumps(getattr(config, field))}"


def shortfall(proof: Proof, goal: Goal) -> str:
    """Returns why a proof does not hold, in figures."""
    chosen, defaults = proof.chosen.result, proof.defaults.result
    if chosen.errors or not chosen.requests:
        return f"the best parameters lead to errors: {dict(chosen.errors)}"
    if chosen.p99_ms > goal.p99_ms:
        return (
            f"the best parameters give a p99 of {chosen.p99_ms:.1f} ms at {goal.clients} clients; "
            f"wanted: {goal.p99_ms:g} ms"
        )
    return (
        f"the best parameters give {chosen.throughput:,.0f} requests a second; TF Serving's "
        f"defaults give {defaults.throughput:,.0f}: keep those"
    )
