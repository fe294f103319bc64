"""`tapeline schema`: the schema as a file that people review and keep under version control."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from pipeline.commands.arguments import Config, Set
from pipeline.config_file import ConfigError, Problem, Source, load_config
from pipeline.metadata.connection import has_metadata

if TYPE_CHECKING:
    from pipeline.config import RunConfig

schema_app = typer.Typer(
    help="Freeze the inferred schema into a file for review; show what new data would change.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@schema_app.command()
def freeze(
    config: Config,
    output: Annotated[
        Optional[Path],
        typer.Option("-o", "--output", metavar="FILE", help="Default: <name>.pbtxt beside CONFIG."),
    ] = None,
    set_: Set = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Write the schema of the latest run's data; print the configuration that uses it.

    Example: tapeline schema freeze configs/digits.yaml -o configs/digits.pbtxt
    """
    loaded = load_config(config, set_ or [])
    path = output or Path(config).with_name(f"{loaded.name}.pbtxt")
    if path.exists() and not force:
        raise ConfigError(Problem("schema freeze", "FILE", f"{path}, which exists", "--force"))
    if not path.parent.is_dir():
        found = f"{path}: no folder {path.parent}"
        raise ConfigError(Problem("schema freeze", "FILE", found, "a file in a folder"))
    run_id, uri = _statistics(loaded, None)
    with _quiet():
        from components.example_gen.sources import make_source
        from components.schema_file.file import schema_text, write_schema
        from components.schema_file.inferred import inferred_schema

        schema = inferred_schema(uri, loaded.data.label)
    header = (
        f"Schema of {loaded.name}, inferred from the data of run {run_id}.",
        f"Review it, keep it under version control, and set schema.path in {config}.",
        "Fields: tensorflow_metadata/proto/v0/schema.proto",
    )
    write_schema(path, schema_text(schema, list(make_source(loaded.data).columns), header))
    print(f"wrote {path}: {len(schema.feature)} features; set in {config}:")
    print(f"schema: {{path: {path}}}")


@schema_app.command()
def diff(
    config: Config,
    set_: Set = None,
    data_run: Annotated[
        Optional[str],
        typer.Option(metavar="RUN", help="Id of the run whose data are compared; the latest."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show what the data of the latest run would change in schema.path: exit 0 if nothing, else 1.

    Example: tapeline schema diff configs/digits.yaml --data-run 20261121-083940-244874
    """
    from pipeline.anomalies import table
    from pipeline.checks import schema_problems

    loaded = load_config(config, set_ or [])
    source = Source(config, set_ or [])
    if loaded.schema.path is None:
        allowed = "a file: `tapeline schema freeze` writes one"
        raise ConfigError(source.problem("schema.path", "nothing", allowed))
    problems = schema_problems(loaded, source)
    if problems:
        raise ConfigError(*problems)
    run_id, uri = _statistics(loaded, data_run)
    with _quiet():
        from components.example_gen.config import SPLITS
        from components.schema_file.diff import changes
        from components.schema_file.file import read_schema
        from components.schema_file.inferred import inferred_schema
        from components.statistics import load_statistics

        found = changes(
            read_schema(Path(loaded.schema.path).expanduser()),
            inferred_schema(uri, loaded.data.label),
            [load_statistics(uri, split) for split in SPLITS],
        )
    if as_json:
        listed = [dataclasses.asdict(change) for change in found]
        print(json.dumps({"schema": loaded.schema.path, "run_id": run_id, "changes": listed}))
    elif found:
        rows = [("FEATURE", "WHAT", "FILE", "DATA")]
        rows += [(one.feature, one.what, one.frozen or "-", one.data or "-") for one in found]
        print(f"{loaded.schema.path} and the data of run {run_id}:")
        print("\n".join(table(rows)))
    else:
        print(f"{loaded.schema.path} is as the data of run {run_id} are")
    raise typer.Exit(1 if found else 0)


def _statistics(config: RunConfig, run_id: str | None) -> tuple[str, str]:
    """Returns the latest run that got as far as statistics, or the one asked for, and their folder.

    Raises:
        ConfigError: if there is none.
    """
    runs = config.pipeline_root / "runs"
    known = sorted((path.name for path in runs.glob("*") if path.is_dir()), reverse=True)
    if run_id is not None and run_id not in known:
        allowed = f"a run under {runs}, such as {known[0]}" if known else f"a run under {runs}"
        raise ConfigError(Problem("schema", "--data-run", run_id, allowed))
    if has_metadata(config):
        with _quiet():
            from pipeline.report import open_lineage

            for name in [run_id] if run_id else known:
                with open_lineage(config, name) as lineage, contextlib.suppress(LookupError):
                    return name, lineage.output("StatisticsGen", "ExampleStatistics").uri
    found = f"run {run_id} without statistics" if run_id else f"{runs}, without statistics"
    allowed = "a run that has computed them: `tapeline check` or `tapeline run` first"
    raise ConfigError(Problem("schema", "data", found, allowed))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps what TensorFlow's libraries print of themselves off the terminal."""
    saved = os.dup(2)
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
