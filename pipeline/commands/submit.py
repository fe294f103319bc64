"""`tapeline submit`: a run of a compiled pipeline on Kubeflow."""

from __future__ import annotations

import json
import re
import sys
from datetime import datetime, timezone
from typing import Annotated, Any, Optional

import typer

from pipeline.commands.kubeflow_arguments import (
    AsJson,
    Experiment,
    Folder,
    Host,
    Parameter,
    answer_to,
    pipeline_part,
    request_for,
)
from pipeline.config_file import ConfigError, Problem
from pipeline.runners.kubeflow.package import read_package

_STATES = {"SUCCEEDED": "done", "CANCELED": "cancelled", "CANCELING": "being cancelled"}
"""Kubeflow's words that ours differ from by more than letters' case."""


def submit(
    folder: Folder,
    host: Host = None,
    parameter: Parameter = None,
    experiment: Experiment = None,
    name: Annotated[
        Optional[str],
        typer.Option(metavar="NAME", help="Of the run. Default: the pipeline's, and the time."),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Until the run has ended; show its nodes meanwhile.")
    ] = False,
    timeout: Annotated[
        Optional[float],
        typer.Option(min=1, metavar="SECONDS", help="With --wait: no longer than this."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a compiled pipeline on Kubeflow Pipelines.

    A token is read from the file that KF_PIPELINES_SA_TOKEN_PATH names, or from KF_PIPELINES_TOKEN.
    Exit code 0 if it was submitted, with --wait if it succeeded; 1 if the server refused it or did
    not answer, and with --wait if the run failed or goes on after the timeout. Ctrl-C ends the
    waiting; the run goes on.

    Example: tapeline submit build/digits --host http://localhost:8888 --wait
    """
    if timeout is not None and not wait:
        raise ConfigError(Problem("submit", "--timeout", "no --wait", "--wait, which it limits"))
    if name is not None and not re.search(r"\S", name):
        raise ConfigError(Problem("submit", "--name", repr(name), "a text"))
    package = read_package(folder)
    run_name = name or f"{package.name}-{datetime.now(timezone.utc):%Y%m%d-%H%M%S}"
    request = {
        **request_for(package, "submit", host, experiment),
        **pipeline_part(package, parameter, scheduled=False),
        "name": run_name,
        "wait": wait,
        "timeout": timeout,
        "nodes": package.nodes,
    }
    out = sys.stderr if as_json else sys.stdout
    begun: dict[str, Any] = {}

    def show(progress: dict[str, Any]) -> None:
        if "node" in progress:
            _say_node(progress, out)
            return
        begun.update(progress)
        print(_heading(progress), file=out, flush=True)

    def refused(refusal: Any) -> None:
        if as_json:
            print(json.dumps({**begun, "error": refusal.told}))

    try:
        result = answer_to(request, refused, show)
    except KeyboardInterrupt:
        goes_on = (
            f"; the run goes on: {begun['url']}" if begun else "; see whether it was submitted"
        )
        print(f"interrupted{goes_on}", file=sys.stderr)
        raise typer.Exit(130) from None
    if not begun:
        print(_heading(result), file=out)
    if as_json:
        print(json.dumps(result))
    if not wait:
        return
    state = result["state"]
    cause = f": {result['error']}" if result["error"] else ""
    if state in ("SUCCEEDED", "SKIPPED"):
        print("succeeded", file=out)
    elif state in ("FAILED", "CANCELED"):
        print(f"{_words(state)}{cause}  -> {result['url']}", file=out)
    else:
        print(f"{_words(state)} after {timeout:g} s; it goes on: {result['url']}", file=out)
    raise typer.Exit(0 if state in ("SUCCEEDED", "SKIPPED") else 1)


def _words(state: str) -> str:
    return _STATES.get(state, state.lower())


def _heading(run: dict[str, Any]) -> str:
    return f"{run['experiment']}  run {run['name']}  {run['run_id']}\n  {run['url']}"


def _say_node(progress: dict[str, Any], out: Any) -> None:
    took = f"{progress['seconds']:6.1f} s" if progress["seconds"] is not None else ""
    state = _words(progress["state"])
    print(f"{progress['node']:<18} {state:<10} {took}".rstrip(), file=out, flush=True)
