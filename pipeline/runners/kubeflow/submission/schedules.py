"""Makes, lists and changes the schedules of a pipeline, which Kubeflow calls recurring runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import kfp

from pipeline.runners.kubeflow.submission.calls import Answer, Refused, asking, known
from pipeline.runners.kubeflow.submission.runs import check_package, experiment_of


def schedule(client: kfp.Client, request: Answer) -> Iterator[Answer]:
    """Makes a schedule; one of the same name is an error, or is taken the place of."""
    check_package(request["package"])
    experiment = experiment_of(client, request)
    name = request["name"]
    former = [s for s in _schedules(client, experiment) if s.display_name == name]
    if former and not request["replace"]:
        ids = ", ".join(s.recurring_run_id for s in former)
        said = f"there is one: {ids}; two would run everything twice"
        raise Refused(f"to make the schedule {name}", said, "--replace, or another --name")
    what = f"to make the schedule {name}"
    with asking(what, acts=True):
        made = client.create_recurring_run(
            experiment.experiment_id,
            name,
            start_time=request["start"],
            end_time=request["end"],
            interval_second=request["interval"],
            cron_expression=request["cron"],
            max_concurrency=request["max_concurrency"],
            no_catchup=not request["catchup"],
            params=request["parameters"],
            pipeline_package_path=request["package"],
            enabled=request["enabled"],
            service_account=request["service_account"],
        )
    known(what, made, "recurring_run_id")
    for one in former:  # after the new one is there: a refusal leaves the old
        with asking(f"to delete the former schedule {one.recurring_run_id}", acts=True):
            client.delete_recurring_run(one.recurring_run_id)
    replaced = [one.recurring_run_id for one in former]
    yield {"result": {**_told_schedule(made, request), "replaced": replaced}}


def _schedules(client: kfp.Client, experiment: Any) -> list[Any]:
    """Returns an experiment's schedules, oldest first."""
    found: list[Any] = []
    token = ""
    while True:
        with asking(f"for the schedules of {experiment.display_name}"):
            page = client.list_recurring_runs(
                page_token=token,
                page_size=100,
                sort_by="created_at",
                experiment_id=experiment.experiment_id,
            )
            found += page.recurring_runs or []
            token = page.next_page_token or ""
        if not token:
            return found


def _told_schedule(one: Any, request: Answer) -> Answer:
    cron = one.trigger and one.trigger.cron_schedule
    periodic = one.trigger and one.trigger.periodic_schedule
    times = cron or periodic
    return {
        "schedule_id": one.recurring_run_id,
        "name": one.display_name,
        "experiment": request["experiment"],
        "enabled": str(one.status) == "ENABLED",
        "cron": cron.cron if cron else None,
        "interval": int(periodic.interval_second) if periodic else None,
        "start": _instant(times and times.start_time),
        "end": _instant(times and times.end_time),
        "catchup": not one.no_catchup,
        "max_concurrency": int(one.max_concurrency),
        "parameters": (one.runtime_config and one.runtime_config.parameters) or {},
        "url": f"{request['host'].rstrip('/')}/#/recurringrun/details/{one.recurring_run_id}",
    }


def _instant(moment: Any) -> str | None:
    return moment.isoformat() if moment else None


def _present_schedules(client: kfp.Client, request: Answer) -> list[Any]:
    """Returns the schedules of the experiment that a request names, which need not be there."""
    name = request["experiment"]
    with asking(f"for the experiment {name}"):
        try:
            experiment = client.get_experiment(experiment_name=name, namespace=request["namespace"])
        except ValueError as error:
            if not str(error).startswith("No experiment is found"):
                raise
            return []
    return _schedules(client, experiment)


def list_schedules(client: kfp.Client, request: Answer) -> Iterator[Answer]:
    """Tells of the schedules of a pipeline's experiment."""
    found = _present_schedules(client, request)
    yield {"result": {"schedules": [_told_schedule(one, request) for one in found]}}


def change_schedule(client: kfp.Client, request: Answer) -> Iterator[Answer]:
    """Enables, disables or deletes the schedule of a name, or of an ID."""
    action, wanted = request["action"], request["schedule"]
    found = _present_schedules(client, request)
    named = [s for s in found if wanted in (s.recurring_run_id, s.display_name)]
    what = f"to {action} the schedule {wanted}"
    if len(named) != 1:
        known = ", ".join(f"{s.display_name} ({s.recurring_run_id})" for s in named or found)
        said = f"{len(named) or 'no'} such schedule in the experiment {request['experiment']}"
        raise Refused(
            what, said, f"one of: {known}" if known else "tapeline schedule DIR makes one"
        )
    (one,) = named
    change = {
        "enable": client.enable_recurring_run,
        "disable": client.disable_recurring_run,
        "delete": client.delete_recurring_run,
    }[action]
    with asking(what):
        change(one.recurring_run_id)
    told = _told_schedule(one, request)
    yield {"result": {**told, "enabled": action == "enable", "deleted": action == "delete"}}
