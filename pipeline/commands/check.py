"""`tapeline check`: everything short of training."""

from __future__ import annotations

import typer

from pipeline.commands.arguments import AsJson, Config, Set, Wait


def check(
    config: Config,
    set_: Set = None,
    as_json: AsJson = False,
    wait: Wait = 0.0,
) -> None:
    """Read the data, compute their statistics, validate them; exit 3 if a run would stop.

    What is computed is kept: `tapeline run` takes it from the cache.

    Example: tapeline check configs/breast_cancer.yaml
    """
    from pipeline.run import Asked, run

    raise typer.Exit(run(config, set_ or [], True, Asked(as_json, wait=wait), to_gate=True))
