"""`tapeline init`: from data to a configuration that runs."""

from __future__ import annotations

import enum
import os
import re
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from pipeline.config_file import ConfigError, Problem

_NAME_LENGTH = 40
_WITH_LABEL = ("csv", "parquet", "tfrecord", "npz")
"""Sources of columns, one of which is the label; the others are of pictures."""


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
    from pipeline.profile.detect import detect

    if output is not None and output.exists() and not force:
        allowed = "a file that does not exist, or --force"
        raise ConfigError(Problem("init", "--output", f"{output}, which exists", allowed))
    try:
        section = detect(data)
        chosen = name or _name(output, section["path"])
        run = shlex.join(["tapeline", "run", str(output or f"{chosen}.yaml")])
        kind = problem.value if problem else None
        text = _configuration(section, label, kind, chosen, run)
    except DataError as error:
        found, _, allowed = str(error).partition("; allowed: ")
        raise ConfigError(Problem("init", "--data", found, allowed or "data to learn from")) from (
            error
        )
    if output is None:
        print(text, end="")
        return
    _write_whole(output, text)
    print(f"\nwrote {output}; look it through, then: {run}", file=sys.stderr)


def _configuration(
    section: dict[str, Any], label: str | None, problem: str | None, name: str, command: str
) -> str:
    """Says on stderr what was found, and returns the configuration.

    Raises:
        DataError: if the data cannot be used.
        ConfigError: if an option does not go with them.
    """
    from pipeline.profile import images, table
    from pipeline.profile.render import render_images, render_table
    from pipeline.profile.report import image_lines, report_lines

    if section["source"] not in _WITH_LABEL:
        if label not in (None, "label"):
            allowed = "nothing, since the folder or the file of a picture says its class"
            raise ConfigError(Problem("init", "--label", repr(label), allowed))
        source = table.open_source(section)
        source.check()
        pictures = images.profile_images(section, source, "image")
    else:
        label = _needed_label(section, label)
        source = table.open_source({**section, "label": label})
        column = images.picture_column(source)
        if column is None:
            look = table.profile_arrays if section["source"] == "npz" else table.profile_table
            found = look(section, label, problem)
            _say(report_lines(found))
            return render_table(found, name, command)
        source.check()
        pictures = images.profile_images({**section, "label": label}, source, column)
    _say(image_lines(pictures))
    return render_images(pictures, name, command)


def _needed_label(section: dict[str, Any], label: str | None) -> str:
    """Returns the label, which arrays that go by the usual names need not be told."""
    from pipeline.profile.table import open_source

    if label is None and section["source"] == "npz":
        columns = open_source({**section, "label": "y"}).columns
        label = next((name for name in ("y", "label", "labels") if name in columns), None)
    if label is None:
        raise ConfigError(
            Problem("init", "--label", "nothing", "a column, or an expression of columns")
        )
    return label


def _say(lines: list[str]) -> None:
    print("\n".join(lines), file=sys.stderr)


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
