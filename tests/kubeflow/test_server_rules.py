"""That the tests' API server refuses what the real one does, asked without a client between."""

from __future__ import annotations

import copy
import json
import urllib.error
import urllib.request
from typing import Any

import pytest
import yaml

from tests.compiled import SPECIFICATION

SPEC = yaml.safe_load(SPECIFICATION)


def post(api_server: Any, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(
        f"{api_server.host}/apis/v2beta1{path}", json.dumps(body).encode(), method="POST"
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.fixture
def experiment(api_server) -> str:
    status, made = post(api_server, "/experiments", {"display_name": "one"})
    assert status == 200
    return made["experiment_id"]


def changed(place: str, value: Any) -> dict[str, Any]:
    """Returns the specification with a value at a place such as `root.dag.tasks`; None: gone."""
    spec = copy.deepcopy(SPEC)
    *path, last = place.split(".")
    inner = spec
    for key in path:
        inner = inner[key]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return spec


TASKS = SPEC["root"]["dag"]["tasks"]
TRAINER = TASKS["Trainer"]["componentRef"]
IMPORTER = {"importer": {"artifactUri": {"constant": "gs://there"}}}


@pytest.mark.parametrize(
    ("spec", "status", "said"),
    [
        (changed("schemaVersion", "2.0.0"), 500, "KFP only supports schema version 2.1.0"),
        (changed("schemaVersion", None), 500, "but the pipeline spec has version "),
        (changed("surprise", 1), 500, "unknown template format"),
        (changed("pipelineInfo.name", ""), 500, "unknown template format"),
        (changed("root", None), 500, "unknown template format"),
        ({"pipelineSpec": SPEC}, 500, "unknown template format"),  # a PipelineJob, as for Vertex
        (changed("pipelineInfo.name", "BIG"), 500, "name should consist of lower case"),
        (changed("pipelineInfo.name", "my_name"), 500, "metadata.generateName: Invalid value"),
        (changed("components.root", SPEC["components"]["Trainer"]), 500, '"root" is reserved'),
        (changed("components.Trainer", None), 500, 'cannot find component ref name="Trainer"'),
        (changed("components.Trainer", {}), 500, "unknown component implementation"),
        (
            changed("components.Trainer", {"dag": {"tasks": {"a": {"componentRef": TRAINER}}}}),
            500,
            "circular component reference detected: root -> Trainer -> Trainer",
        ),
        (changed("deploymentSpec.executors.Trainer_executor", None), 500, "not found in deploym"),
        (
            changed("deploymentSpec.executors.Trainer_executor", {"resolver": {}}),
            500,
            "non-container and non-importer executor not implemented",
        ),
        (
            changed("root.dag.tasks", {"a_task": TASKS["ExampleGen"]}),
            500,
            "'a_task' is invalid: name must consist of alpha-numeric characters",
        ),
        (changed("root.dag.tasks.Trainer.dependentTasks", ["Nobody"]), 500, "Nobody"),
        (
            changed("root.dag.tasks.Trainer.artifactIterator", {"itemInput": "a"}),
            500,
            "artifact iterator not implemented yet",
        ),
    ],
)
def test_run_when_specification_is_none_of_its_own_then_refused(
    api_server, experiment, spec, status, said
):
    body = {"display_name": "run", "experiment_id": experiment, "pipeline_spec": spec}
    found = post(api_server, "/runs", body)
    assert found[0] == status, found
    assert found[1]["message"].startswith("Failed to create a new run: ")
    assert said in found[1]["message"]
    assert found[1]["details"][0]["@type"] == "type.googleapis.com/google.rpc.Status"


def test_run_when_condition_is_on_an_importer_then_refused(api_server, experiment):
    spec = changed("deploymentSpec.executors.Trainer_executor", IMPORTER)
    body = {"display_name": "run", "experiment_id": experiment, "pipeline_spec": spec}
    assert post(api_server, "/runs", body)[0] == 200
    spec["root"]["dag"]["tasks"]["Trainer"]["triggerPolicy"] = {"condition": "true"}
    status, answer = post(api_server, "/runs", body)
    assert status == 500
    assert "triggerPolicy.condition on importer task is not supported" in answer["message"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"epochs": "3"}, "epochs requires type double or integer"),
        ({"rate": "1"}, "rate requires type double or integer"),
        ({"span": 7}, "span requires type string"),
        ({"warm": 1}, "warm requires type bool"),
        ({"other": 1}, "parameter(s) provided are not required by pipeline: other"),
    ],
)
def test_run_when_parameters_are_not_its_own_then_refused(api_server, experiment, values, said):
    body = {"display_name": "run", "experiment_id": experiment, "pipeline_spec": SPEC}
    status, answer = post(api_server, "/runs", {**body, "runtime_config": {"parameters": values}})
    assert status == 400
    assert said in answer["message"]


def test_run_when_parameter_has_neither_value_nor_default_then_refused(api_server, experiment):
    spec = changed("root.inputDefinitions.parameters.span.defaultValue", None)
    body = {"display_name": "run", "experiment_id": experiment, "pipeline_spec": spec}
    status, answer = post(api_server, "/runs", body)
    assert status == 400
    assert "parameter span is not optional, yet has neither default value nor" in answer["message"]


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"display_name": ""}, 500, "Run name cannot be empty"),
        ({"experiment_id": "nobody"}, 404, "Experiment nobody not found"),
        ({"pipeline_spec": None}, 400, "Pipeline spec source is missing"),
        ({"pipeline_spec": {"pipeline_spec": SPEC, "platform_spec": {}}}, 500, "unknown template"),
        (
            {"pipeline_spec": {"pipeline_spec": SPEC, "platform_spec": SPEC}},
            500,
            "multiple pipeline specs provided",
        ),
    ],
)
def test_run_when_something_else_is_wrong_then_refused(
    api_server, experiment, change, status, said
):
    body = {"display_name": "run", "experiment_id": experiment, "pipeline_spec": SPEC, **change}
    found = post(api_server, "/runs", body)
    assert found[0] == status, found
    assert said in found[1]["message"]


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"max_concurrency": 0}, 400, "at least 1 and at most 10. Received 0"),
        ({"max_concurrency": 11}, 400, "at least 1 and at most 10. Received 11"),
        ({"display_name": ""}, 500, "name cannot be empty"),
        ({"trigger": {"periodic_schedule": {"interval_second": 0}}}, 400, "interval 0"),
        ({"trigger": {"cron_schedule": {"cron": "0 2 * *"}}}, 400, "found 4: 0 2 * *"),
        ({"trigger": {"cron_schedule": {"cron": "0 60 * * * *"}}}, 400, "above maximum (59)"),
        ({"trigger": {"cron_schedule": {"cron": "0 0 0 0 * *"}}}, 400, "below minimum (1)"),
        ({"trigger": {"cron_schedule": {"cron": "@often"}}}, 400, "Unrecognized descriptor"),
        ({"pipeline_spec": changed("schemaVersion", "2.0.0")}, 500, "only supports schema"),
    ],
)
def test_recurring_run_when_something_is_wrong_then_refused(
    api_server, experiment, change, status, said
):
    body = {
        "display_name": "nightly",
        "experiment_id": experiment,
        "pipeline_spec": SPEC,
        "max_concurrency": 1,
        "trigger": {"cron_schedule": {"cron": "0 0 2 * * mon-fri"}},
    }
    assert post(api_server, "/recurringruns", body)[0] == 200
    found = post(api_server, "/recurringruns", {**body, **change})
    assert found[0] == status, found
    assert said in found[1]["message"]


def test_experiment_when_name_is_taken_then_refused(api_server, experiment):
    status, answer = post(api_server, "/experiments", {"display_name": "one"})
    assert status == 409
    assert "The name one already exists" in answer["message"]


def test_experiment_when_kubeflow_has_many_users_then_wants_a_namespace(api_server):
    api_server.plan(multi_user=True)
    status, answer = post(api_server, "/experiments", {"display_name": "one"})
    assert status == 400
    assert "cannot have an empty namespace in multi-user mode" in answer["message"]
