"""What the containers get from their cluster: resources, retries, secrets and a volume."""

from __future__ import annotations

from typing import Any

from pipeline.runners.kubeflow.config import KubeflowConfig, NodeConfig, RetriesConfig, SecretConfig

Spec = dict[str, Any]


def with_resources(spec: Spec, kubeflow: KubeflowConfig) -> None:
    """Writes resources and retries into a PipelineSpec, each node's its own."""
    executors = spec["deploymentSpec"]["executors"]
    for name, task in spec["root"]["dag"]["tasks"].items():
        node = kubeflow.node(name)
        resources = _resources(node)
        if resources:
            label = spec["components"][task["componentRef"]["name"]]["executorLabel"]
            executors[label]["container"]["resources"] = resources
        if node.retries is not None:
            task["retryPolicy"] = _retry_policy(node.retries)


def platform_spec(spec: Spec, kubeflow: KubeflowConfig) -> Spec:
    """Returns the part for Kubernetes: secrets, and the claim at `root`; {} if there is none."""
    executors: Spec = {}
    for name, task in spec["root"]["dag"]["tasks"].items():
        settings: Spec = {}
        secrets = kubeflow.node(name).secrets
        if secrets:
            settings["secretAsEnv"] = [_secret(secret) for secret in secrets]
        if kubeflow.claim is not None:
            settings["pvcMount"] = [_mount(kubeflow.claim, kubeflow.root)]
        if settings:
            executors[spec["components"][task["componentRef"]["name"]]["executorLabel"]] = settings
    if not executors:
        return {}
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}


def _resources(node: NodeConfig) -> Spec:
    """Returns the limits, in the fields that every version of Kubeflow and Vertex reads."""
    resources: Spec = {}
    if node.cpu is not None:
        resources["cpuLimit"] = node.cpu
    if node.memory is not None:
        resources["memoryLimit"] = node.memory
    if node.accelerator is not None:
        # Protobuf writes integers of 64 bits as texts.
        count = str(node.accelerator.count)
        resources["accelerator"] = {"type": node.accelerator.type, "count": count}
    return resources


def _retry_policy(retries: RetriesConfig) -> Spec:
    return {
        "maxRetryCount": retries.count,
        "backoffDuration": f"{retries.backoff_seconds}s",
        "backoffFactor": retries.factor,
        "backoffMaxDuration": f"{retries.max_seconds}s",
    }


def _secret(secret: SecretConfig) -> Spec:
    return {
        # Newer servers read the second.
        "secretName": secret.name,
        "secretNameParameter": _constant(secret.name),
        "keyToEnv": [
            {"envVar": variable, "secretKey": key} for variable, key in secret.env.items()
        ],
        "optional": False,
    }


def _mount(claim: str, path: str) -> Spec:
    return {"constant": claim, "pvcNameParameter": _constant(claim), "mountPath": path}


def _constant(text: str) -> Spec:
    return {"runtimeValue": {"constant": text}}
