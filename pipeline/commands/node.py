"""`tapeline node` and `tapeline finish`: a scheduled run, a process for each of its nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from pipeline.commands.arguments import Wait
from pipeline.config_file import ConfigError, Problem

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="What `tapeline compile` wrote.")]
RunId = Annotated[
    str, typer.Option("--run-id", metavar="ID", help="Of the run: the same for all its nodes.")
]


def node(
    folder: Folder,
    node_id: Annotated[str, typer.Argument(metavar="NODE", help="Such as Trainer.")],
    run_id: RunId,
    parameter: Annotated[
        Optional[list[str]],
        typer.Option(metavar="NAME=VALUE", help="A runtime parameter: span=2026-01-31."),
    ] = None,
    wait: Wait = 0.0,
) -> None:
    """Run one node of a compiled pipeline, as the local runner would.

    Safe to try again: a node that the run has finished is not run again, and what a killed
    attempt left is removed first.

    Exit codes: 0 done, cached or finished before; 1 failed, or another run is still going on; 2 bad
    input, which no other try mends; 3 anomalies in the data; 99 skipped, as a condition is false;
    143 stopped by SIGTERM with the training saved.

    Example: tapeline node dags/digits Trainer --run-id nightly-2026-01-31
    """
    from pipeline.node import run_node

    raise typer.Exit(run_node(folder, node_id, run_id, _parameters(parameter or []), wait))


def finish(
    folder: Folder,
    run_id: RunId,
    as_json: Annotated[
        bool, typer.Option("--json", help="The summary as one line of JSON on stdout.")
    ] = False,
) -> None:
    """End a run whose nodes a scheduler ran: summary, metrics, verdict.

    Exit codes: those of `tapeline run`; 1 where the metadata or the disk could not be had, too.

    Example: tapeline finish dags/digits --run-id nightly-2026-01-31
    """
    from pipeline.node import finish_run

    raise typer.Exit(finish_run(folder, run_id, as_json))


def _parameters(texts: list[str]) -> dict[str, str]:
    parameters = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(Problem("node", "--parameter", repr(text), "NAME=VALUE"))
        parameters[name] = value
    return parameters
