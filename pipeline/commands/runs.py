"""`tapeline runs`: what ran, and how one run went."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from pipeline.anomalies import acceptance_text
from pipeline.commands.arguments import Root
from pipeline.config_file import ConfigError, Problem
from pipeline.report import STATUSES

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def runs(
    run: Annotated[
        Optional[str],
        typer.Argument(
            metavar="[RUN]", help="One run in detail: its folder or id. A root lists its runs."
        ),
    ] = None,
    root: Root = Path("runs"),
    pipeline: Annotated[
        Optional[str], typer.Option(metavar="NAME", help="Only runs of this pipeline.")
    ] = None,
    status: Annotated[
        Optional[str],
        typer.Option(metavar="STATUS", help=f"Only runs that ended so: {', '.join(STATUSES)}."),
    ] = None,
    since: Annotated[
        Optional[str],
        typer.Option(metavar="TIME", help="Only runs begun since: 2026-01-31, or 12h, 7d, 2w ago."),
    ] = None,
    last: Annotated[
        Optional[int], typer.Option(min=1, metavar="N", help="Only the last N of those.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List the runs under a root, oldest first; or tell how one run went.

    A run without a summary is `interrupted`: it was killed, or it is still going.

    Example: tapeline runs --pipeline digits --status failed --since 7d
    """
    from pipeline.report import past_runs
    from pipeline.run_folder import find_run, has_runs

    if run is not None and not has_runs(Path(run)):
        _show_one(find_run(run, root), as_json)
        return
    root = root if run is None else Path(run)
    if not has_runs(root):
        what = "a folder without runs" if root.is_dir() else "no folder"
        raise ConfigError(Problem("runs", "--root", f"{root}, {what}", "the root of a run"))
    if status is not None and status not in STATUSES:
        raise ConfigError(Problem("runs", "--status", status, ", ".join(STATUSES)))
    begun = _since(since) if since else ""
    found = [
        one
        for one in past_runs(root)
        if pipeline in (None, one["pipeline"])
        and status in (None, one["status"])
        and one["began"] >= begun
    ]
    for one in found[-last:] if last else found:
        print(json.dumps(one) if as_json else _line(one))


def _since(text: str) -> str:
    """Returns a time as the runs' own are written, in UTC."""
    ago = re.fullmatch(r"(\d{1,4})([mhdw])", text)
    now = datetime.datetime.now(datetime.timezone.utc)
    try:
        at = (
            now - datetime.timedelta(**{_UNITS[ago[2]]: int(ago[1])})
            if ago
            else datetime.datetime.fromisoformat(text).astimezone(datetime.timezone.utc)
        )
    except (ValueError, OverflowError) as error:
        allowed = "a date, a date and time, or so long ago: 30m, 12h, 7d, 2w"
        raise ConfigError(Problem("runs", "--since", text, allowed)) from error
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def _line(found: Mapping[str, Any]) -> str:
    took = f"{found['seconds']:6.1f} s" if found["seconds"] is not None else "       -"
    figures = "  ".join(
        f"{name} {'nan' if value is None else format(value, '.4f')}"
        for name, value in found["metrics"].items()
    )
    line = f"{found['pipeline']:<16} {found['run_id']}  {found['status']:<11} {took}  {figures}"
    if found["acceptance"]:
        line += f"  anomalies accepted {acceptance_text(found['acceptance'])}"
    return line.rstrip()


def _show_one(run_dir: Path, as_json: bool) -> None:
    from pipeline.report import run_detail

    found = run_detail(run_dir)
    if as_json:
        print(json.dumps(found))
        return
    for line in _detail(found):
        print(line)


def _detail(found: Mapping[str, Any]) -> Iterator[str]:
    from pipeline.display import summary_lines
    from pipeline.program import shell_line
    from pipeline.report import read_summary

    yield f"{found['pipeline']}  run {found['run_id']}  {found['status']}  began {found['began']}"
    for node in found["nodes"]:
        yield f"{node['name']:<18} {node['state']:<7} {node['seconds']:6.1f} s"
    summary = read_summary(Path(found["run_dir"]))
    if summary is not None and not summary.error:
        model = str(Path(summary.servable or "").parent)
        yield from summary_lines(summary, shell_line("predict", model, "--sample", "3"))
        return
    error = found["error"] or {"node": "(none)", "cause": "no summary: killed, or still going"}
    yield f"\n{found['status']:<10} {error['node']}: {error['cause']}"
    yield f"log        {found['run_dir']}/run.log"
    yield f"go on      {shell_line('resume', found['run_dir'])}"
