"""`tapeline predict`: ask a model about rows."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from pipeline.commands.arguments import Set
from pipeline.config_file import ConfigError, Problem
from pipeline.served_model import version_folder


def predict(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="CONFIG of a run, a model's folder, or a version's folder."
        ),
    ],
    rows: Annotated[
        Optional[str], typer.Argument(metavar="[ROWS]", help="JSON or CSV file; - for stdin.")
    ] = None,
    set_: Set = None,
    sample: Annotated[
        Optional[int],
        typer.Option(min=1, help="Ask about the first N rows of the data it was trained on."),
    ] = None,
    signature: Annotated[
        str, typer.Option(help="One that takes raw features, or the task's own.")
    ] = "serving_raw",
) -> None:
    """Ask the pushed model about raw rows; answers are JSON lines on stdout.

    Rows are JSON objects of features (one, a list, or one a line) or CSV with a header.

    Example: tapeline predict configs/digits.yaml --sample 3
    """
    from pipeline.output import CapturedOutput
    from pipeline.predict import predict as answers
    from pipeline.predict import read_rows, sample_rows

    folder = version_folder(model, set_ or [])
    if (rows is None) == (sample is None):
        raise ConfigError(
            Problem(
                "predict",
                "ROWS",
                "neither" if rows is None else "both",
                "one of ROWS and --sample N",
            )
        )
    with CapturedOutput() as output:
        if sample is not None:
            asked = sample_rows(folder, sample)
        else:
            asked = read_rows(_read_text(str(rows)), str(rows))
        for answer in answers(folder, signature, asked):
            print(answer, file=output.stdout)


def _read_text(path: str) -> str:
    if path == "-":
        return sys.stdin.read()
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        found = getattr(error, "strerror", None) or str(error)
        raise ConfigError(Problem(path, "ROWS", found, "a file of JSON or CSV")) from error
