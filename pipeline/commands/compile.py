"""`tapeline compile`: the form of a pipeline that schedulers start its nodes from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeGuard, get_args

import typer

from pipeline.commands.arguments import Config, Set
from pipeline.compiled import GRAPH_FILE, Target, compiled_files, target_problems, write_compiled
from pipeline.config_file import ConfigError, Problem, Source, load_config
from pipeline.program import shell_line

if TYPE_CHECKING:
    from pipeline.config import RunConfig

_COMMAND = "compile"
_TARGETS = get_args(Target)


def compile_(
    config: Config,
    target: Annotated[
        str, typer.Option(help=f"What will run it: {', '.join(_TARGETS)}.", metavar="TARGET")
    ] = "local",
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="DIR", help="Folder to write; made if missing.")
    ] = Path("build/compiled"),
    set_: Set = None,
) -> None:
    """Compile a pipeline for a scheduler: its IR, its graph, and what the target needs.

    `tapeline node DIR NODE --run-id ID` runs a node of it. The same configuration and code give
    the same bytes; compile again when either changes.

    Example: tapeline compile configs/digits.yaml --target airflow -o dags/digits
    """
    if not _is_target(target):
        raise ConfigError(Problem(_COMMAND, "--target", repr(target), ", ".join(_TARGETS)))
    files = _compile(*_checked(config, set_ or [], target, out), target)
    try:
        removed = write_compiled(files, out)
    except OSError as error:
        found = f"{error.filename or out}: {error.strerror}"
        allowed = "a folder that can be written, with room"
        raise ConfigError(Problem(_COMMAND, "--out", found, allowed)) from error
    if removed:
        print(f"removed    {', '.join(removed)}, of an earlier compilation")
    print(f"compiled   {', '.join(sorted(files))} in {out}")
    if GRAPH_FILE in files:
        first = json.loads(files[GRAPH_FILE])["nodes"][0]["id"]
        print(f"try it     {shell_line('node', str(out), first, '--run-id', 'trial')}")


def _is_target(text: str) -> TypeGuard[Target]:
    return text in _TARGETS


def _checked(
    path: str, overrides: list[str], target: Target, out: Path
) -> tuple[RunConfig, Source]:
    from pipeline.checks import check_inputs, folder_problems

    config, source = load_config(path, overrides), Source(path, overrides)
    problems = [
        *target_problems(config, source, target),
        *folder_problems(Source(_COMMAND), "--out", out),
    ]
    if problems:
        raise ConfigError(*problems)
    check_inputs(config, source)
    return config, source


def _compile(config: RunConfig, source: Source, target: Target) -> dict[str, str]:
    from pipeline.output import CapturedOutput
    from pipeline.run import prepare_task

    with CapturedOutput():
        return compiled_files(config, prepare_task(config, source), target)
