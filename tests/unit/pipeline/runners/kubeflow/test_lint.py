"""What the lint refuses in a compiled pipeline, one by one."""

from __future__ import annotations

import tempfile

import pytest

from pipeline.runners.kubeflow.lint import spec_problems


@pytest.fixture
def spec():
    """The least that is in order."""
    return {
        "schemaVersion": "2.1.0",
        "pipelineInfo": {"name": "digits"},
        "root": {
            "dag": {
                "tasks": {
                    "Evaluator": {"componentRef": {"name": "Evaluator"}},
                    "Pusher": {
                        "componentRef": {"name": "Pusher"},
                        "inputs": {"artifacts": {"model_blessing": {}}},
                        "triggerPolicy": {
                            "condition": "inputs.artifacts['model_blessing'].artifacts[0].uri == ''"
                        },
                    },
                }
            },
            "inputDefinitions": {
                "parameters": {"span": {"parameterType": "STRING", "defaultValue": ""}}
            },
        },
        "components": {
            "Evaluator": {
                "outputDefinitions": {
                    "artifacts": {
                        "blessing": {
                            "artifactType": {"instanceSchema": "title: tfx.ModelBlessing\n"}
                        }
                    }
                }
            }
        },
        "deploymentSpec": {
            "executors": {"Evaluator_executor": {"container": {"image": "i", "args": ["--a"]}}}
        },
    }


def problems(spec, target="kubeflow"):
    return [str(problem) for problem in spec_problems("pipeline.yaml", spec, target)]


def test_spec_when_in_order_then_has_no_problems(spec):
    assert problems(spec) == []


EXECUTOR = ("deploymentSpec", "executors", "Evaluator_executor")
ARGUMENT = (*EXECUTOR, "container", "args", 0)
BLESSING = ("components", "Evaluator", "outputDefinitions", "artifacts", "blessing")


def put(spec, path, value):
    """Puts a value at a path of keys; None takes away what is there."""
    *sections, key = path
    for section in sections:
        spec = spec[section]
    if value is None:
        del spec[key]
    else:
        spec[key] = value


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (["schemaVersion"], "2.0.0", "schemaVersion: found '2.0.0'; allowed: '2.1.0'"),
        (["pipelineInfo", "name"], "Digits_1", "pipelineInfo.name: found 'Digits_1'"),
        (["root", "dag", "tasks", "my_node"], {}, "root.dag.tasks.my_node: found 'my_node'"),
        (
            ["root", "inputDefinitions", "parameters", "span", "defaultValue"],
            None,
            "root.inputDefinitions.parameters.span: found no defaultValue",
        ),
        (
            ["root", "dag", "tasks", "Pusher", "inputs", "artifacts", "model_blessing"],
            None,
            "root.dag.tasks.Pusher.triggerPolicy.condition: found the artifact 'model_blessing'",
        ),
        (EXECUTOR, {"resolver": {}}, f"{'.'.join(EXECUTOR)}: found a resolver"),
        (
            (*EXECUTOR, "container", "image"),
            None,
            f"{'.'.join(EXECUTOR)}.container.image: found nothing",
        ),
        (
            (*BLESSING, "artifactType", "instanceSchema"),
            "title: Blessing",
            f"{'.'.join(BLESSING)}: found title: Blessing; allowed: a type whose TYPE_NAME is",
        ),
        (
            ARGUMENT,
            "__main__.Executor",
            f"{'.'.join(EXECUTOR)}.container.args.0: found something of __main__",
        ),
        (
            ARGUMENT,
            f'{{"path": "{tempfile.gettempdir()}/x/data.csv"}}',
            f"{'.'.join(EXECUTOR)}.container.args.0: found a path under",
        ),
    ],
)
def test_spec_when_something_is_wrong_then_that_is_refused(path, value, problem, spec):
    put(spec, path, value)
    (found,) = problems(spec)
    assert found.startswith(f"pipeline.yaml: {problem}")


def test_resolver_when_for_vertex_then_is_allowed(spec):
    put(spec, EXECUTOR, {"resolver": {}})
    assert problems(spec, "vertex") == []
