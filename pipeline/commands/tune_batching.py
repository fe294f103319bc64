"""`tapeline tune-batching`: batching parameters for a target latency, from measurement."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.arguments import Set
from pipeline.config_file import ConfigError, Problem
from pipeline.served_model import version_folder


def tune_batching(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="CONFIG of a run, a model's folder, or a version's folder."
        ),
    ],
    set_: Set = None,
    p99: Annotated[
        float, typer.Option(metavar="MS", min=0, help="99 of 100 requests are answered in this.")
    ] = 100.0,
    clients: Annotated[int, typer.Option(min=1, help="How many ask at once, one row each.")] = 64,
    signature: Annotated[str, typer.Option(help="Whom they ask.")] = "serving_default",
    write: Annotated[
        bool, typer.Option("--write", help="Put the parameters into the serving directory.")
    ] = False,
    chart: Annotated[Path, typer.Option(metavar="PNG", help="Where the curve is drawn.")] = Path(
        "batching.png"
    ),
    seconds: Annotated[float, typer.Option(min=0.1, help="Of each load test.")] = 2.0,
) -> None:
    """Find batching parameters for a target latency on this machine, by measuring this model.

    Times the model at each batch size, load-tests the parameters that the curve suggests on the
    embedded server, and proves the best beside TF Serving's defaults. Takes a few minutes of an
    otherwise idle machine. Exit code 1, and nothing is written, if the target cannot be met or the
    defaults are not beaten.

    Example: tapeline tune-batching configs/digits.yaml --p99 50 --write
    """
    from pipeline.output import CapturedOutput

    folder = chart.absolute().parent
    if chart.is_dir() or not os.access(folder, os.W_OK):  # said before minutes of measuring
        allowed = "a file in a folder that there is, and that may be written"
        raise ConfigError(Problem("tune-batching", "--chart", str(chart), allowed))
    version = version_folder(model, set_ or [])
    # TensorFlow's own messages would come between the lines of the tables.
    with CapturedOutput() as output:
        from serving.load import LoadFailed
        from serving.server_process import ServerFailed
        from serving.session import InvalidModel
        from serving.tuning.candidates import TargetOutOfReach
        from serving.tuning.chart import draw_curve
        from serving.tuning.requests import NoRequest, tuning_request
        from serving.tuning.text import curve_lines, shortfall, trial_line, yaml_lines
        from serving.tuning.tune import Effort, Goal, Proof, measure_model, tune
        from serving.tuning.write import write_parameters

        def say(*lines: str) -> None:
            for line in lines:
                print(line, file=output.stdout)

        try:
            request = tuning_request(version, signature)
        except NoRequest as error:
            allowed = "warmup requests to the signature, which `tapeline run` pushes with a model"
            raise ConfigError(Problem(model, "--signature", error.found, allowed)) from error
        goal = Goal(p99, clients, cores=len(os.sched_getaffinity(0)))
        effort = Effort(load_seconds=seconds)
        title = f"{request.model} {version.name}, {signature}, on {goal.cores} cores"
        try:
            curve = measure_model(version, request, effort)
        except InvalidModel as error:
            raise ConfigError(Problem(str(version), "MODEL", str(error), "a SavedModel")) from error
        say(title, *curve_lines(curve), "")
        failure, config = "", None
        proofs: list[Proof] = []
        try:
            for proof in tune(
                version, request, curve, goal, effort, lambda trial: say(trial_line("try", trial))
            ):
                say(trial_line("proof", proof.chosen), trial_line("defaults", proof.defaults))
                proofs.append(proof)
            if proofs[-1].holds(goal):
                config = proofs[-1].chosen.config
            else:
                failure = shortfall(proofs[0], goal)
        except TargetOutOfReach as error:
            failure = f"a p99 of {p99:g} ms is out of reach: {error}"
        except (ServerFailed, LoadFailed) as error:
            failure = str(error)
        draw_curve(chart, title, curve, p99, config.max_batch_size if config else None)
        say("", f"drawn    {chart}")
        if config is None:
            say(f"failed   {failure}; nothing was written")
            raise typer.Exit(1)
        if write:
            say(*(f"written  {path}" for path in write_parameters(version, config)))
            say("         for servers that are started from now on, until the next push")
        if not config.enable_large_batch_splitting:
            say(f"Requests of more than {config.max_batch_size} rows are refused with these.")
        say("To have every push write them, put this into the run's configuration:", "")
        say(*yaml_lines(config))
