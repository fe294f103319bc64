"""`tapeline events`: what a run told, as JSON lines."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.arguments import Root, Run


def events(
    run: Run = None,
    root: Root = Path("runs"),
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with what is to come, until the run ends.")
    ] = False,
) -> None:
    """Print the events of a run as JSON lines: nodes, epochs, figures, the decision, the push.

    Example: tapeline events --follow
    """
    from pipeline.events import follow_events, read_events
    from pipeline.run_folder import find_run

    run_dir = find_run(run, root)
    try:
        for event in follow_events(run_dir) if follow else read_events(run_dir):
            print(json.dumps(event, ensure_ascii=False), flush=follow)
    except KeyboardInterrupt:
        sys.exit(130)
