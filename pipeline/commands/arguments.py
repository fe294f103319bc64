"""Arguments that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from pipeline.config_file import ConfigError, Problem

Config = Annotated[str, typer.Argument(metavar="CONFIG", help="YAML file, see configs/.")]
Set = Annotated[
    Optional[list[str]],
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key: --set train.epochs=5."),
]
Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="CONFIG of a run, or a model's folder.")
]
AsJson = Annotated[
    bool, typer.Option("--json", help="End stdout with one line of JSON; the display to stderr.")
]
AcceptAnomalies = Annotated[
    Optional[str],
    typer.Option(metavar="WHY", help="Go on with data that the gate stops; on record."),
]
Wait = Annotated[
    float,
    typer.Option(
        min=0, metavar="SECONDS", help="For another run of the pipeline to end; 0: refuse at once."
    ),
]


def reason(accept_anomalies: str | None) -> str | None:
    """Returns why anomalies are accepted.

    Raises:
        ConfigError: if that says nothing.
    """
    if accept_anomalies is not None and not accept_anomalies.strip():
        raise ConfigError(Problem("run", "--accept-anomalies", "no reason", "why, in a few words"))
    return accept_anomalies


Run = Annotated[
    Optional[str],
    typer.Argument(metavar="[RUN]", help="A run's folder, or its id; without: the last run."),
]
Root = Annotated[
    Path, typer.Option("--root", metavar="DIR", help="The `root` of the configurations.")
]
