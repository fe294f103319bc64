"""`tapeline resume`: goes on with a run that was killed, stopped, or failed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.arguments import AcceptAnomalies, AsJson, Root, Wait, reason


def resume(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Its folder, or its id.")],
    root: Root = Path("runs"),
    as_json: AsJson = False,
    accept_anomalies: AcceptAnomalies = None,
    wait: Wait = 0.0,
) -> None:
    """Go on with a run that did not end, under its own id and with its own configuration.

    Nodes that it has finished are left alone, and training goes on from its last checkpoint. To go
    on with a changed configuration use `tapeline run`: it takes from the cache what still holds.

    Example: tapeline resume 20260131-020000-000000
    """
    from pipeline.run import Asked, resume
    from pipeline.run_folder import find_run

    raise typer.Exit(resume(find_run(run, root), Asked(as_json, reason(accept_anomalies), wait)))
