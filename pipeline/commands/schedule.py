"""`tapeline schedule`: a compiled pipeline that Kubeflow runs again and again."""

from __future__ import annotations

import json
from typing import Annotated, Any, Optional

import typer
from typer.core import TyperGroup

from pipeline.commands.kubeflow_arguments import (
    AsJson,
    Experiment,
    Folder,
    Host,
    answer_to,
    pipeline_part,
    request_for,
)
from pipeline.config_file import ConfigError, Problem
from pipeline.runners.kubeflow import times
from pipeline.runners.kubeflow.package import read_package


class _CreateByDefault(TyperGroup):
    """`tapeline schedule DIR` is `tapeline schedule create DIR`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["create", *args]
        return super().parse_args(ctx, args)


schedule_app = typer.Typer(
    cls=_CreateByDefault,
    help="Have Kubeflow run a compiled pipeline again and again; `tapeline schedule DIR ...` is "
    "`tapeline schedule create DIR ...`.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Named = Annotated[
    Optional[str],
    typer.Argument(metavar="[NAME]", help="Or ID, of `tapeline schedule list`; the pipeline's."),
]


@schedule_app.command()
def create(
    folder: Folder,
    cron: Annotated[
        Optional[str],
        typer.Option(
            metavar="'M H D M W'",
            help="When, in UTC: minute, hour, day, month, weekday from 0, as '0 2 * * *'. A sixth "
            "field in front is seconds.",
        ),
    ] = None,
    every: Annotated[
        Optional[str], typer.Option(metavar="TIME", help="From start to start: 90s, 15m, 6h, 1d.")
    ] = None,
    parameter: Annotated[
        Optional[list[str]],
        typer.Option(
            "--parameter",
            metavar="NAME=VALUE",
            help="[[ScheduledTime.2006-01-02]] in a text becomes the day of the run.",
        ),
    ] = None,
    name: Annotated[
        Optional[str], typer.Option(metavar="NAME", help="Default: the pipeline's name.")
    ] = None,
    host: Host = None,
    experiment: Experiment = None,
    start: Annotated[
        Optional[str], typer.Option(metavar="TIME", help="No run before: 2026-12-01T00:00:00Z.")
    ] = None,
    end: Annotated[Optional[str], typer.Option(metavar="TIME", help="No run after.")] = None,
    catchup: Annotated[
        bool,
        typer.Option(
            "--catchup",
            help="After a pause run every time that was missed, not the last alone.",
        ),
    ] = False,
    max_concurrency: Annotated[
        int, typer.Option(min=1, max=10, metavar="N", help="Runs of it at once.")
    ] = 1,
    disabled: Annotated[
        bool, typer.Option("--disabled", help="Nothing runs until it is enabled.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of the schedule of this name.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a schedule. The pipeline is handed over now: after a change compile it, and --replace.

    Example: tapeline schedule build/digits --cron '0 2 * * *' --replace
    """
    if (cron is None) == (every is None):
        found = "neither" if cron is None else "both"
        raise ConfigError(Problem("schedule", "--cron, --every", found, "one of them"))
    package = read_package(folder)
    request = {
        **request_for(package, "schedule", host, experiment),
        **pipeline_part(package, parameter, scheduled=True),
        "name": name or package.name,
        "cron": times.six_fields(cron) if cron is not None else None,
        "interval": times.seconds(every) if every is not None else None,
        "start": times.instant("--start", start),
        "end": times.instant("--end", end),
        "catchup": catchup,
        "max_concurrency": max_concurrency,
        "enabled": not disabled,
        "replace": replace,
    }
    made = _answer(request, as_json)
    if as_json:
        print(json.dumps(made))
        return
    for former in made["replaced"]:
        print(f"replaced  {former}")
    print(f"{_line(made)}\n  {made['url']}")


@schedule_app.command("list")
def list_(
    folder: Folder,
    host: Host = None,
    experiment: Experiment = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List the schedules of a pipeline's experiment, oldest first."""
    package = read_package(folder)
    request = request_for(package, "list", host, experiment)
    for found in _answer(request, as_json)["schedules"]:
        print(json.dumps(found) if as_json else _line(found))


@schedule_app.command()
def enable(
    folder: Folder,
    schedule: Named = None,
    host: Host = None,
    experiment: Experiment = None,
    as_json: AsJson = False,
) -> None:
    """Have a schedule run again."""
    _change("enable", folder, schedule, host, experiment, as_json)


@schedule_app.command()
def disable(
    folder: Folder,
    schedule: Named = None,
    host: Host = None,
    experiment: Experiment = None,
    as_json: AsJson = False,
) -> None:
    """Pause a schedule; a run that goes on is left alone."""
    _change("disable", folder, schedule, host, experiment, as_json)


@schedule_app.command()
def delete(
    folder: Folder,
    schedule: Named = None,
    host: Host = None,
    experiment: Experiment = None,
    as_json: AsJson = False,
) -> None:
    """End a schedule for good; its runs stay."""
    _change("delete", folder, schedule, host, experiment, as_json)


def _change(
    action: str,
    folder: Folder,
    schedule: str | None,
    host: str | None,
    experiment: str | None,
    as_json: bool,
) -> None:
    package = read_package(folder)
    request = {
        **request_for(package, action, host, experiment),
        "schedule": schedule or package.name,
    }
    changed = _answer(request, as_json)
    if as_json:
        print(json.dumps(changed))
    else:
        print(f"{action}d  {changed['name']}  {changed['schedule_id']}")


def _answer(request: dict[str, Any], as_json: bool) -> dict[str, Any]:
    def refused(refusal: Any) -> None:
        if as_json:
            print(json.dumps({"error": refusal.told}))

    return answer_to(request, refused)


def _line(found: dict[str, Any]) -> str:
    when = f"cron {found['cron']}" if found["cron"] else f"every {found['interval']} s"
    parts = [
        f"{found['name']:<16} {found['schedule_id']}",
        f"{'enabled' if found['enabled'] else 'disabled':<8}",
        when,
        f"at most {found['max_concurrency']} at once",
        *(["catches up"] if found["catchup"] else []),
        *(f"{bound} {found[bound]}" for bound in ("start", "end") if found[bound]),
        *(f"{name}={value}" for name, value in sorted(found["parameters"].items())),
    ]
    return "  ".join(parts)
