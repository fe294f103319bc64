"""Arguments that several commands take."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

Config = Annotated[str, typer.Argument(metavar="CONFIG", help="YAML file, see configs/.")]
Set = Annotated[
    Optional[list[str]],
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key: --set train.epochs=5."),
]
Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="CONFIG of a run, or a model's folder.")
]
