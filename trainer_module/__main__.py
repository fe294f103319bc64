"""`python -m trainer_module`: trains what a job file describes, here or as part of a cluster."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from trainer_module import stopping
from trainer_module.job import Job, JobError, load_job, run
from trainer_module.progress import emit

EXIT_FAILED, EXIT_BAD_INPUT = 1, 2

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def train(
    context: typer.Context,
    config: Annotated[
        Optional[Path], typer.Option(help="The job, a file in YAML or JSON.", show_default=False)
    ] = None,
    overrides: Annotated[
        Optional[list[str]],
        typer.Option("--set", metavar="KEY=VALUE", help="Changes a key, as train.epochs=5."),
    ] = None,
    fast_dev_run: Annotated[
        bool, typer.Option("--fast-dev-run", help="Three steps and one evaluation batch.")
    ] = False,
    overfit_batches: Annotated[
        Optional[int], typer.Option(metavar="N", help="Learns N batches by heart.")
    ] = None,
    eager: Annotated[
        bool, typer.Option("--eager", help="No graphs: breakpoints work inside the step.")
    ] = False,
    parent: Annotated[Optional[int], typer.Option(hidden=True)] = None,
    events: Annotated[Optional[int], typer.Option(hidden=True)] = None,
) -> None:
    """Trains on transformed examples, from the last checkpoint in the job's folder if there is one.

    \b
    A job file:
        task: {name: digits}
        train: {epochs: 10, batch_size: 64, strategy: default}
        data:
          train: [data/train-*.gz]
          eval: [data/eval-*.gz]
          transform: transform_graph
        folder: runs/digits

    train.strategy says where it runs. For multi_worker and parameter_server, each process of the
    cluster runs this same command with TF_CONFIG set, as Kubernetes' TFJob does it; with
    train.local_workers=2 this command starts the processes itself, on this machine.

    \b
    Exit codes:
        0    trained
        1    failed
        2    the job cannot run as it is written
        138  the cluster was lost: run again, it resumes
        143  stopped by SIGTERM, and saved: run again, it resumes
    """
    if context.invoked_subcommand is not None:
        return
    if config is None:
        print("error: --config: found nothing; allowed: a job file (see --help)", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)
    changes = list(overrides or [])
    changes += ["train.debug.fast_dev_run=true"] if fast_dev_run else []
    changes += [f"train.debug.overfit_batches={overfit_batches}"] if overfit_batches else []
    changes += ["train.debug.eager=true"] if eager else []
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(message)s")
    if parent is not None:
        from trainer_module.cluster import end_with

        end_with(parent)
    if events is not None:
        from trainer_module.progress_pipe import relay_events_to

        relay_events_to(events)
    try:
        job = load_job(str(config), changes)
    except JobError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)
    _run(job)


@app.command()
def replay(
    folder: Annotated[
        Path, typer.Argument(help="What a training saved of the step where it went wrong.")
    ],
) -> None:
    """Takes a step whose numbers went bad once more, and says where: not finite, or too large.

    Exit codes: 0 found it again, 1 did not, 2 the folder holds no such step.
    """
    if not (folder / "report.json").is_file():
        print(f"error: {folder}: found no report.json; allowed: a step's folder", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)
    from trainer_module.numerics import replay as take_again

    finding = take_again(str(folder))
    print(finding)
    sys.exit(EXIT_FAILED if finding.kind == "none" else 0)


def _run(job: Job) -> None:
    """Runs a job to the end of this process."""
    from trainer_module import watchdog

    stopping.stop_on_sigterm()
    member = job.train.strategy in ("multi_worker", "parameter_server")
    try:
        result = run(job)
    except stopping.Interrupted as error:
        print(error, file=sys.stderr)
        if member:
            watchdog.leave(stopping.EXIT_CODE)
        sys.exit(stopping.EXIT_CODE)
    except watchdog.PeerLost as error:
        watchdog.leave(watchdog.EXIT_CODE, str(error))
    except ValueError as error:
        _fail(EXIT_BAD_INPUT, error, member)
    except Exception as error:
        _fail(EXIT_FAILED, error, member)
    if result is not None:
        emit("result", **vars(result))
    if member:
        watchdog.leave(0)


def _fail(code: int, error: Exception, member: bool) -> None:
    """Ends the process; one of a cluster at once, for the others wait for it."""
    from trainer_module import cluster, watchdog

    if not isinstance(error, (JobError, cluster.WorkerDied)):
        logging.getLogger(__name__).error("the training failed", exc_info=error)
    if member:
        watchdog.leave(code, str(error))
    print(f"error: {error}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    app(prog_name="python -m trainer_module")
