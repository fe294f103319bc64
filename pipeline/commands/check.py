"""`tapeline check`: everything short of training."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pipeline.commands.arguments import Config, Set


def check(
    config: Config,
    set_: Set = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="End stdout with one line of JSON; the display to stderr."),
    ] = False,
) -> None:
    """Read the data, compute their statistics, validate them; exit 3 if a run would stop.

    What is computed is kept: `tapeline run` takes it from the cache.

    Example: tapeline check configs/breast_cancer.yaml
    """
    from pipeline.run import run

    try:
        code = run(config, set_ or [], use_cache=True, as_json=as_json, to_gate=True)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        code = 130
    raise typer.Exit(code)
