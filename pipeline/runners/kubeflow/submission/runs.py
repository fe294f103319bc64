"""Starts a run of a compiled pipeline, and tells of its nodes until it has ended."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator
from typing import Any

import kfp

from pipeline.runners.kubeflow.submission.calls import Answer, Refused, asking, known

FINAL = ("SUCCEEDED", "SKIPPED", "FAILED", "CANCELED")
MISSES = 5
"""Calls without an answer, one after the other, after which waiting for a run is given up."""


def check_package(path: str) -> None:
    """Refuses a file that is no pipeline to kfp, before anything is asked."""
    try:
        kfp.components.load_component_from_file(path)
    except Exception as error:
        said, advice = str(error), "compile it again"
        raise Refused(f"kfp to read {path}", said, advice, local=True) from error


def experiment_of(client: kfp.Client, request: Answer) -> Any:
    """Returns the experiment that a request names, made if there is none."""
    name = request["experiment"]
    what = f"for the experiment {name}"
    with asking(what):
        found = client.create_experiment(name, namespace=request["namespace"])
    return known(what, found, "experiment_id")


def submit(client: kfp.Client, request: Answer) -> Iterator[Answer]:
    """Starts a run, and waits for its end if so asked."""
    check_package(request["package"])
    experiment = experiment_of(client, request)
    what = f"to run {request['name']}"
    with asking(what, acts=True):
        run = client.run_pipeline(
            experiment.experiment_id,
            request["name"],
            pipeline_package_path=request["package"],
            params=request["parameters"],
            service_account=request["service_account"],
        )
    known(what, run, "run_id")
    result = {
        "run_id": run.run_id,
        "name": request["name"],
        "experiment": request["experiment"],
        "url": f"{request['host'].rstrip('/')}/#/runs/details/{run.run_id}",
        "state": str(run.state or "PENDING"),
        "error": None,
    }
    if request["wait"]:
        yield {"progress": result}
        result = yield from _follow(client, result, request)
    yield {"result": result}


def _follow(client: kfp.Client, result: Answer, request: Answer) -> Generator[Answer, None, Answer]:
    """Tells of a run's nodes until it has ended or the time is over, and returns how it stands."""
    end = time.monotonic() + request["timeout"] if request["timeout"] else float("inf")
    ours = {name.lower(): name for name in request["nodes"]}
    told: dict[str, str] = {}
    parent, pause, misses = os.getppid(), 0.5, 0
    while result["state"] not in FINAL and time.monotonic() < end and os.getppid() == parent:
        time.sleep(min(pause, max(0.0, end - time.monotonic())))
        pause = min(pause * 1.5, 10.0)
        try:
            with asking(f"how run {result['run_id']} stands"):
                run = client.get_run(result["run_id"])
                result = {**result, "state": str(run.state or "PENDING")}
        except Refused as refused:
            misses += 1
            if not refused.passing or misses == MISSES:
                refused.told["advice"] += f"; the run goes on: {result['url']}"
                raise
            continue
        misses = 0
        if run.error:
            result["error"] = run.error.message
        for task in (run.run_details and run.run_details.task_details) or ():
            name = ours.get((task.display_name or "").lower())
            state = str(task.state)
            if name and task.state and told.get(name) != state:
                told[name] = state
                yield {"progress": {"node": name, "state": state, "seconds": _seconds(task)}}
    return {**result, "nodes": told}


def _seconds(task: Any) -> float | None:
    if task.start_time and task.end_time and task.end_time > task.start_time:
        return (task.end_time - task.start_time).total_seconds()
    return None
