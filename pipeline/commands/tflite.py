"""`tapeline tflite`: a model as TF Lite files, each held to the model's answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from pipeline.commands.arguments import Set
from pipeline.config_file import ConfigError, Problem

EXIT_REFUSED = 4


def tflite(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="CONFIG of a run, a model's folder, or a version's folder."
        ),
    ],
    set_: Set = None,
    variants: Annotated[
        Optional[str],
        typer.Option(
            metavar="NAME,...",
            help="float32, dynamic_range, float16, int8, int8_float; those of lite.variants "
            "unless given.",
        ),
    ] = None,
    out: Annotated[
        Optional[Path],
        typer.Option(help="Folder of the files; <root>/<name>/lite/<version> unless given."),
    ] = None,
    examples: Annotated[
        Optional[Path],
        typer.Option(
            help="Folder with Split-train and Split-test, TFRecords of raw examples, in place of "
            "those that the model was trained on."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as one line of JSON.")
    ] = False,
) -> None:
    """Write a pushed model as TF Lite files, and show how each answers, how large and fast it is.

    A variant whose answers on the test split are not the model's within its tolerance is refused.
    Exit code 4 if one that is required is.

    Example: tapeline tflite configs/digits.yaml --variants float32,int8
    """
    from pipeline.lite import Wanted, export_job
    from pipeline.output import CapturedOutput
    from serving.lite.export import export_lite
    from serving.lite.job import LiteExportFailed
    from serving.lite.table import table_lines

    names = None if variants is None else [name.strip() for name in variants.split(",")]
    with CapturedOutput() as output:
        job, folder = export_job(model, set_ or [], Wanted(names, out, examples))
        try:
            report = export_lite(job, folder)
        except LiteExportFailed as error:
            allowed = "a version that `tapeline run` pushed"
            raise ConfigError(
                Problem(str(job.saved_model), "MODEL", str(error), allowed)
            ) from error
        if as_json:
            print(report.model_dump_json(), file=output.stdout)
        else:
            for line in table_lines(report):
                print(line, file=output.stdout)
    raise typer.Exit(EXIT_REFUSED if report.failure else 0)
