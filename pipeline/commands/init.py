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
        text = _configuration(detect(data), label, output, problem, name)
    except DataError as error:
        found, _, allowed = str(error).partition("; allowed: ")
        raise ConfigError(Problem("init", "--data", found, allowed or "data to learn from")) from (
            error
        )
    if output is None:
        print(text, end="")
        return
    _write_whole(output, text)
    run = shlex.join(["tapeline", "run", str(output)])
    print(f"\nwrote {output}; look it through, then: {run}", file=sys.stderr)


def _configuration(
    section: dict[str, Any],
    label: str | None,
    output: Path | None,
    problem: ProblemKind | None,
    name: str | None,
) -> str:
    """Says on stderr what was found, and returns the configuration.

    Raises:
        DataError: if the data cannot be used.
        ConfigError: if an option does not go with them.
    """
    from pipeline.profile.render import render_images, render_table
    from pipeline.profile.report import report_lines

    chosen = name or _name(output, section["path"])
    command = shlex.join(["tapeline", "run", str(output or f"{chosen}.yaml")])
    if section["source"] in ("csv", "parquet", "tfrecord", "npz"):
        from pipeline.profile.table import profile_arrays, profile_table

        if section["source"] == "npz":
            found = profile_arrays(section, label, problem.value if problem else None)
        elif label is None:
            raise ConfigError(Problem("init", "--label", "nothing", "a column, or an expression"))
        else:
            found = profile_table(section, label, problem.value if problem else None)
        if found is not None:
            _say(report_lines(found))
            return render_table(found, chosen, command)
    if label not in (None, "label") and section["source"] != "npz":
        allowed = "nothing, since pictures have the name of their class as label"
        raise ConfigError(Problem("init", "--label", repr(label), allowed))
    found_images, keys = _images(section, label)
    low, high = found_images.sides
    _say(
        [
            f"{found_images.rows} pictures of {low} to {high} pixels a side, "
            f"{'grey' if found_images.channels == 1 else 'in colours'}",
            f"{len(found_images.classes)} classes: {', '.join(map(str, found_images.classes))}",
        ]
    )
    return render_images(keys, found_images, chosen, command)


def _images(section: dict[str, Any], label: str | None) -> Any:
    from pydantic import TypeAdapter

    from components.example_gen.config import DataConfig
    from components.example_gen.sources import make_source
    from pipeline.profile.images import profile_images

    keys = {**section, **({"label": label} if section["source"] == "npz" else {})}
    adapter: TypeAdapter[DataConfig] = TypeAdapter(DataConfig)
    source = make_source(adapter.validate_python(keys))
    source.check()
    rows = source.sample(50)
    counts = source.row_counts() or {}
    classes = source.class_names or []
    return profile_images(rows, classes, sum(counts.values())), keys


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
