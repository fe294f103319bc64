"""What the containers get from their cluster, as it stands in the compiled pipeline."""

from __future__ import annotations


def test_resources_then_are_limits_in_cores_and_gigabytes(open_source_documents):
    executors = open_source_documents[0]["deploymentSpec"]["executors"]
    assert executors["Trainer_executor"]["container"]["resources"] == {
        "cpuLimit": 2.0,
        "memoryLimit": 16.0,
        "accelerator": {"type": "nvidia.com/gpu", "count": "2"},
    }
    assert executors["Evaluator_executor"]["container"]["resources"] == {
        "cpuLimit": 2.0,
        "memoryLimit": 4.0,
    }


def test_resources_when_nothing_is_said_then_are_the_clusters(vertex_job):
    executors = vertex_job["pipelineSpec"]["deploymentSpec"]["executors"]
    assert "resources" not in executors["Evaluator_executor"]["container"]
    accelerator = {"type": "NVIDIA_TESLA_T4", "count": "1"}
    resources = executors["Trainer_executor"]["container"]["resources"]
    assert resources == {"accelerator": accelerator}


def test_retries_then_are_each_tasks_policy(open_source_documents, vertex_job):
    tasks = open_source_documents[0]["root"]["dag"]["tasks"]
    policy = {
        "maxRetryCount": 2,
        "backoffDuration": "60s",
        "backoffFactor": 2.0,
        "backoffMaxDuration": "3600s",
    }
    assert all(task["retryPolicy"] == policy for task in tasks.values())
    tasks = vertex_job["pipelineSpec"]["root"]["dag"]["tasks"]
    assert not any("retryPolicy" in task for task in tasks.values())


def test_secrets_and_volume_then_are_in_the_part_for_kubernetes(open_source_documents):
    spec, platform = open_source_documents
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert set(executors) == set(spec["deploymentSpec"]["executors"])
    name = {"runtimeValue": {"constant": "db"}}
    claim = {"runtimeValue": {"constant": "tapeline"}}
    assert executors["Trainer_executor"] == {
        "secretAsEnv": [
            {
                "secretName": "db",
                "secretNameParameter": name,
                "keyToEnv": [{"envVar": "PASSWORD", "secretKey": "word"}],
                "optional": False,
            }
        ],
        "pvcMount": [{"constant": "tapeline", "pvcNameParameter": claim, "mountPath": "/tapeline"}],
    }
