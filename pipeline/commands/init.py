"""`tapeline init`: from data to a configuration that runs."""

from __future__ import annotations

import enum
import os
import re
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Optional

import typer

from pipeline.config_file import ConfigError, Problem
from pipeline.output import CapturedOutput

_NAME_LENGTH = 40


class ProblemKind(str, enum.Enum):
    """What a label is taken for."""

    binary = "binary"
    multiclass = "multiclass"
    regression = "regression"


def init(
    data: Annotated[
        str,
        typer.Option(
            "--data",
            metavar="PATH",
            help="A file, a folder or a pattern of CSV, Parquet, TFRecord or .npz files; a folder "
            "or tar of pictures; MNIST's or CIFAR-10's files.",
        ),
    ],
    label: Annotated[
        Optional[str],
        typer.Option(
            "--label",
            metavar="COLUMN",
            help="The column to predict, or an expression of columns: 'tips > 0.2 * fare'. "
            "Pictures have theirs.",
        ),
    ] = None,
    output: Annotated[
        Optional[Path],
        typer.Option("-o", "--output", metavar="CONFIG", help="The file to write; else stdout."),
    ] = None,
    problem: Annotated[
        Optional[ProblemKind],
        typer.Option(help="What the label is taken for, if not what it looks like."),
    ] = None,
    name: Annotated[
        Optional[str], typer.Option(help="Of the pipeline; else made of the data's name.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over CONFIG.")] = False,
) -> None:
    """Look at data and write a configuration that runs, with comments to go on from.

    What was found goes to stderr: types, missing values, the label's balance, and what is left out
    because it is constant, identifies rows, or tells the label by itself.

    Example: tapeline init --data trips.csv --label 'tips > 0.2 * fare' -o trips.yaml
    """
    from components.example_gen.source import DataError
    from pipeline.profile.configuration import make_configuration
    from pipeline.profile.detect import detect

    if output is not None and output.exists() and not force:
        allowed = "a file that does not exist, or --force"
        raise ConfigError(Problem("init", "--output", f"{output}, which exists", allowed))
    try:
        section = detect(data)
        chosen = name or _name(output, section["path"])
        run = shlex.join(["tapeline", "run", str(output or f"{chosen}.yaml")])
        kind = problem.value if problem else None
        # What the libraries print on the way is of no use to anybody here.
        with CapturedOutput():
            found = make_configuration(section, label, kind, chosen, run)
    except DataError as error:
        message, _, allowed = str(error).partition("; allowed: ")
        refusal = Problem("init", "--data", message, allowed or "data to learn from")
        raise ConfigError(refusal) from error
    print("\n".join(found.report), file=sys.stderr)
    if output is None:
        print(found.text, end="")
        return
    _write_whole(output, found.text)
    print(f"\nwrote {output}; look it through, then: {run}", file=sys.stderr)


def _name(output: Path | None, data: str) -> str:
    """Returns a pipeline's name made of the name of its file, or of its data's."""
    stem = output.stem if output else re.split(r"[.{*]", Path(data).name)[0]
    text = re.sub(r"[^a-z0-9_-]+", "_", (stem or Path(data).parent.name).lower()).strip("_-")
    return text[:_NAME_LENGTH] or "pipeline"


def _write_whole(path: Path, text: str) -> None:
    """Writes a file beside, then renames it: there is all of it or what was there before."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, delete=False, encoding="utf-8"
        ) as file:
            file.write(text)
        os.chmod(file.name, 0o644)
        os.replace(file.name, path)
    except OSError as error:
        found = f"{path}: {error.strerror}"
        raise ConfigError(Problem("init", "--output", found, "a file that can be written")) from (
            error
        )
