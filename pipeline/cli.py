"""The `tapeline` command. Heavy imports stay inside the commands that need them."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from typing import Annotated, Optional

import typer

from pipeline import __version__
from pipeline.commands.arguments import AcceptAnomalies, AsJson, Config, Set, Wait, reason
from pipeline.commands.backfill import backfill
from pipeline.commands.check import check
from pipeline.commands.compile import compile_
from pipeline.commands.events import events
from pipeline.commands.explain_cache import explain_cache
from pipeline.commands.gc import gc as gc_
from pipeline.commands.init import init
from pipeline.commands.labels import promote, rollback
from pipeline.commands.lineage import lineage
from pipeline.commands.node import finish, node
from pipeline.commands.predict import predict
from pipeline.commands.request_sample import request_sample
from pipeline.commands.resume import resume
from pipeline.commands.runs import runs
from pipeline.commands.schedule import schedule_app
from pipeline.commands.schema import schema_app
from pipeline.commands.serve import serve
from pipeline.commands.submit import submit
from pipeline.commands.tflite import tflite
from pipeline.commands.tune_batching import tune_batching
from pipeline.commands.versions import versions
from pipeline.config_file import ConfigError
from pipeline.metadata.errors import MetadataError

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
    as_json: AsJson = False,
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
    accept_anomalies: AcceptAnomalies = None,
    wait: Wait = 0.0,
) -> None:
    """Run a pipeline: read, check, transform, train, evaluate, push.

    A run that was killed or failed goes on where it was when it is started again: finished nodes
    come from the cache, training from its last checkpoint. `tapeline resume` does the same under
    the run's own id.

    Example: tapeline run configs/digits.yaml --set train.seed=1
    """
    from pipeline.run import Asked
    from pipeline.run import run as run_pipeline

    asked = Asked(as_json, reason(accept_anomalies), wait)
    overrides = [
        *(set_ or []),
        *(["train.debug.fast_dev_run=true"] if fast_dev_run else []),
        *([f"train.debug.overfit_batches={overfit_batches}"] if overfit_batches else []),
        *(["train.debug.eager=true"] if eager else []),
    ]
    raise typer.Exit(run_pipeline(config, overrides, not no_cache, asked))


app.command()(init)
app.command()(check)
app.command()(resume)
app.command()(backfill)
app.command("compile")(compile_)
app.command()(node)
app.command()(finish)
app.command("gc")(gc_)
app.add_typer(schema_app, name="schema")
app.command()(predict)
app.command()(versions)
app.command()(promote)
app.command()(rollback)
app.command()(serve)
app.command()(request_sample)
app.command()(tune_batching)
app.command()(tflite)
app.command()(events)
app.command()(lineage)
app.command()(explain_cache)
app.command()(runs)
app.command()(submit)
app.add_typer(schedule_app, name="schedule")


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
    except MetadataError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
