"""The `tapeline` command. Heavy imports stay inside the commands that need them."""

from __future__ import annotations

import atexit
import gc
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from pipeline import __version__
from pipeline.anomalies import acceptance_text
from pipeline.commands.arguments import Config, Set
from pipeline.commands.check import check
from pipeline.commands.init import init
from pipeline.commands.labels import promote, rollback
from pipeline.commands.predict import predict
from pipeline.commands.request_sample import request_sample
from pipeline.commands.schema import schema_app
from pipeline.commands.serve import serve
from pipeline.commands.tflite import tflite
from pipeline.commands.tune_batching import tune_batching
from pipeline.commands.versions import versions
from pipeline.config_file import ConfigError, Problem

app = typer.Typer(
    name="tapeline",
    help="Takes raw data through training with your own loop to a model that TF Serving serves.",
    epilog="Exit codes: 0 pushed or nothing new, 1 failed, 2 bad configuration or input, "
    "3 anomalies in the data, 4 not blessed or refused, 130 interrupted, 143 stopped by SIGTERM "
    "with the training saved.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"tapeline {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


@app.command()
def run(
    config: Config,
    set_: Set = None,
    no_cache: Annotated[
        bool,
        typer.Option("--no-cache", help="Run every node again; a finished training is exported."),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="End stdout with one line of JSON; the display to stderr."),
    ] = False,
    fast_dev_run: Annotated[
        bool,
        typer.Option("--fast-dev-run", help="Train three steps: does everything work?"),
    ] = False,
    overfit_batches: Annotated[
        Optional[int],
        typer.Option(min=1, metavar="N", help="Train and evaluate on the same N batches."),
    ] = None,
    eager: Annotated[
        bool, typer.Option("--eager", help="Train without graphs: breakpoints work in the step.")
    ] = False,
    accept_anomalies: Annotated[
        Optional[str],
        typer.Option(metavar="WHY", help="Go on with data that the gate stops; on record."),
    ] = None,
) -> None:
    """Run a pipeline: read, check, transform, train, evaluate, push.

    A run that was killed or failed goes on where it was when it is started again: finished nodes
    come from the cache, training from its last checkpoint.

    Example: tapeline run configs/digits.yaml --set train.seed=1
    """
    from pipeline.run import run as run_pipeline

    if accept_anomalies is not None and not accept_anomalies.strip():
        raise ConfigError(Problem("run", "--accept-anomalies", "no reason", "why, in a few words"))
    overrides = [
        *(set_ or []),
        *(["train.debug.fast_dev_run=true"] if fast_dev_run else []),
        *([f"train.debug.overfit_batches={overfit_batches}"] if overfit_batches else []),
        *(["train.debug.eager=true"] if eager else []),
    ]
    try:
        code = run_pipeline(config, overrides, not no_cache, as_json, accept_anomalies)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        code = 130
    raise typer.Exit(code)


app.command()(init)
app.command()(check)
app.add_typer(schema_app, name="schema")
app.command()(predict)
app.command()(versions)
app.command()(promote)
app.command()(rollback)
app.command()(serve)
app.command()(request_sample)
app.command()(tune_batching)
app.command()(tflite)


@app.command()
def runs(
    root: Annotated[
        Path, typer.Argument(metavar="[ROOT]", help="The `root` of the configurations.")
    ] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List the runs under a root, oldest first: how each ended, its metrics, what it pushed."""
    from pipeline.report import past_runs

    if not root.is_dir():
        raise ConfigError(Problem("runs", "ROOT", f"{root}, no folder", "the root of a run"))
    for found in past_runs(root):
        if as_json:
            print(json.dumps(found))
            continue
        took = f"{found['seconds']:6.1f} s" if found["seconds"] is not None else "       -"
        figures = "  ".join(
            f"{name} {'nan' if value is None else format(value, '.4f')}"
            for name, value in found["metrics"].items()
        )
        line = f"{found['pipeline']:<16} {found['run_id']}  {found['status']:<11} {took}  {figures}"
        if found["acceptance"]:
            line += f"  anomalies accepted {acceptance_text(found['acceptance'])}"
        print(line.rstrip())


@app.command()
def doctor() -> None:
    """Check this machine and environment; exit 1 if the main job cannot run here."""
    from pipeline.doctor import FAIL, run_checks

    results = list(run_checks())
    for result in results:
        advice = f"  -> {result.advice}" if result.advice else ""
        print(f"{result.level:<5} {result.name:<24} {result.found}{advice}")
    raise typer.Exit(1 if any(result.level == FAIL for result in results) else 0)


def main() -> None:
    """Entry point: turns errors that a user can mend into lines on stderr and exit code 2."""
    # A user's own task lives where they work, which an installed command does not search.
    sys.path.append(os.getcwd())
    # The interpreter's last collection takes a second to look through all of TensorFlow, and frees
    # nothing that the end of the process does not.
    atexit.register(gc.freeze)
    try:
        app()
    except ConfigError as error:
        for problem in error.problems:
            print(f"error: {problem}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
