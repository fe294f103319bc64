"""The `tapeline` command. Heavy imports stay inside the commands that need them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from pipeline import __version__
from pipeline.config_file import ConfigError, Problem, load_config

app = typer.Typer(
    name="tapeline",
    help="Takes raw data through training with your own loop to a model that TF Serving serves.",
    epilog="Exit codes: 0 pushed or nothing new, 1 failed, 2 bad configuration or input, "
    "4 not blessed, 130 interrupted, 143 stopped by SIGTERM with the training saved.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

_Config = Annotated[str, typer.Argument(metavar="CONFIG", help="YAML file, see configs/.")]
_Set = Annotated[
    Optional[list[str]],
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key: --set train.epochs=5."),
]


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
    config: _Config,
    set_: _Set = None,
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
) -> None:
    """Run a pipeline: read, check, transform, train, evaluate, push.

    A run that was killed or failed goes on where it was when it is started again: finished nodes
    come from the cache, training from its last checkpoint.

    Example: tapeline run configs/digits.yaml --set train.seed=1
    """
    from pipeline.run import run as run_pipeline

    overrides = [
        *(set_ or []),
        *(["train.debug.fast_dev_run=true"] if fast_dev_run else []),
        *([f"train.debug.overfit_batches={overfit_batches}"] if overfit_batches else []),
        *(["train.debug.eager=true"] if eager else []),
    ]
    try:
        code = run_pipeline(config, overrides, not no_cache, as_json)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        code = 130
    raise typer.Exit(code)


@app.command()
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
    set_: _Set = None,
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

    folder = _version_folder(model, set_ or [])
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
        print(f"{found['pipeline']:<16} {found['run_id']}  {found['status']:<11} {took}  {figures}")


@app.command()
def doctor() -> None:
    """Check this machine and environment; exit 1 if the main job cannot run here."""
    from pipeline.doctor import FAIL, run_checks

    results = list(run_checks())
    for result in results:
        advice = f"  -> {result.advice}" if result.advice else ""
        print(f"{result.level:<5} {result.name:<24} {result.found}{advice}")
    raise typer.Exit(1 if any(result.level == FAIL for result in results) else 0)


def _version_folder(model: str, overrides: list[str]) -> Path:
    """Returns the folder of the newest version that `model` leads to."""
    from serving.versions import newest_version

    path = Path(model)
    if (path / "saved_model.pb").is_file():
        return path
    base = path if path.is_dir() else load_config(model, overrides).model_folder
    newest = newest_version(base)
    if newest is None:
        raise ConfigError(
            Problem(model, "MODEL", f"no version in {base}", "a model that `tapeline run` pushed")
        )
    return newest


def _read_text(path: str) -> str:
    if path == "-":
        return sys.stdin.read()
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        found = getattr(error, "strerror", None) or str(error)
        raise ConfigError(Problem(path, "ROWS", found, "a file of JSON or CSV")) from error


def main() -> None:
    """Entry point: turns errors that a user can mend into lines on stderr and exit code 2."""
    # A user's own task lives where they work, which an installed command does not search.
    sys.path.append(os.getcwd())
    try:
        app()
    except ConfigError as error:
        for problem in error.problems:
            print(f"error: {problem}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
