"""`tapeline backfill`: the runs of spans that were not run when they came."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.anomalies import table
from pipeline.commands.arguments import Config, Set

if TYPE_CHECKING:
    from pipeline.backfill import SpanRun


def backfill(
    config: Config,
    first: Annotated[
        str, typer.Option("--from", metavar="SPAN", help="The first: a number or a date.")
    ],
    last: Annotated[str, typer.Option("--to", metavar="SPAN", help="The last, included.")],
    set_: Set = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say which spans would run, and run none.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="End stdout with one JSON object a span.")
    ] = False,
) -> None:
    """Run a configuration once for each span in a range that there are data of, oldest first.

    Each is a run of its own, as `tapeline run` with `data.span` set. One that fails is the last;
    one whose model is not blessed is not: its span keeps the version before. A span that ran before
    costs little, since its nodes come from the cache.

    Exit codes: 0 when every span came to a decision, else that of the run that did not.

    Example: tapeline backfill trips.yaml --from 2026-01-01 --to 2026-01-31
    """
    from pipeline.backfill import find_spans, run_spans
    from pipeline.program import shell_line

    spans = find_spans(config, set_ or [], first, last)
    if dry_run:
        for span, paths in spans.items():
            line = json.dumps({"span": span, "paths": paths}) if as_json else f"{span}  {paths[0]}"
            print(line)
        return
    done = list(run_spans(config, set_ or [], list(spans)))
    failed = done[-1] if not done[-1].went_on else None
    _show(done, as_json)
    if failed is None:
        return
    left = len(spans) - len(done)
    again = ["backfill", config, "--from", str(failed.span), "--to", last]
    sets = [part for item in set_ or [] for part in ("--set", item)]
    print(
        f"stopped    at span {failed.span}: {failed.status}; {left} more did not run\n"
        f"go on      {shell_line(*again, *sets)}",
        file=sys.stderr,
    )
    raise typer.Exit(failed.exit)


def _show(done: Sequence[SpanRun], as_json: bool) -> None:
    if as_json:
        for one in done:
            print(json.dumps(dataclasses.asdict(one)))
        return
    rows = [("SPAN", "STATUS", "RUN", "TOOK", "VERSION", "METRICS"), *map(_row, done)]
    for line in ["", *table(rows)]:
        print(line)


def _row(one: SpanRun) -> tuple[str, ...]:
    summary = one.summary
    metrics = summary.get("metrics", {}).items()
    figures = (f"{name} {'nan' if value is None else f'{value:.4f}'}" for name, value in metrics)
    return (
        str(one.span),
        one.status,
        summary.get("run_id", "-"),
        f"{summary['seconds']:.1f} s" if "seconds" in summary else "-",
        (summary.get("servable") or "-").rpartition("/")[2],
        "  ".join(figures) or "-",
    )
