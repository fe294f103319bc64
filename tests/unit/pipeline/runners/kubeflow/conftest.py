"""Configurations for Kubeflow, and what is compiled from them once for all tests."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from pipeline.config_file import load_config

NODE = "{cpu: 2, memory: 4, retries: {count: 2}, secrets: [{name: db, env: {PASSWORD: word}}]}"
TRAINER = "{memory: 16, accelerator: {type: nvidia.com/gpu, count: 2}}"

OPEN_SOURCE = [
    "orchestration.kubeflow.image=registry.example/tapeline:1",
    "orchestration.kubeflow.pipeline_root=minio://mlpipeline/v2/artifacts",
    "orchestration.kubeflow.claim=tapeline",
    f"orchestration.kubeflow.default={NODE}",
    f"orchestration.kubeflow.nodes={{Trainer: {TRAINER}}}",
]
VERTEX = [
    "orchestration.kubeflow.image=registry.example/tapeline:1",
    "orchestration.kubeflow.pipeline_root=gs://bucket/pipelines",
    "orchestration.kubeflow.root=/gcs/bucket/tapeline",
    "orchestration.kubeflow.nodes={Trainer: {accelerator: {type: NVIDIA_TESLA_T4}}}",
]
EVERY_NODE = ["train.warm_start=true", "lite={variants: [float32]}"]

_SECTIONS = {"card", "custom_config", "serve", "validate"}
_HASH = re.compile(r"(?<![0-9a-f])[0-9a-f]{16}(?![0-9a-f])")


@pytest.fixture(scope="session")
def overrides() -> dict[str, list[str]]:
    """What a configuration needs for a target, by target."""
    return {"kubeflow": OPEN_SOURCE, "vertex": VERTEX}


@pytest.fixture(scope="session")
def configured(repository):
    """Returns the ready digits configuration with overrides."""

    def load(*overrides: str):
        return load_config(str(repository / "configs" / "digits.yaml"), overrides)

    return load


@pytest.fixture(scope="session")
def compile_files(configured):
    """Compiles the digits pipeline for a target, every node in it; returns the files."""
    from pipeline.runners.kubeflow.files import kubeflow_files
    from trainer_module.tasks import make_task

    def run(target: str, *overrides: str) -> dict[str, str]:
        base = OPEN_SOURCE if target == "kubeflow" else VERTEX
        config = configured(*base, *EVERY_NODE, *overrides)
        return kubeflow_files(config, make_task(config.task), target)

    return run


@pytest.fixture(scope="session")
def open_source_documents(compile_files) -> list[dict[str, Any]]:
    """The PipelineSpec for open-source Kubeflow, and the part for Kubernetes."""
    return list(yaml.safe_load_all(compile_files("kubeflow")["pipeline.yaml"]))


@pytest.fixture(scope="session")
def vertex_job(compile_files) -> dict[str, Any]:
    return json.loads(compile_files("vertex")["pipeline.json"])


@pytest.fixture(scope="session")
def as_golden():
    """Returns what was compiled as the text of a golden file.

    Without hashes of the code, and of sections of the configuration their keys alone: what other
    changes bring with them is no change of the compiled form.
    """

    def shortened(value: Any) -> Any:
        if isinstance(value, list):
            return [shortened(item) for item in value]
        if not isinstance(value, dict):
            return value
        result = {key: shortened(item) for key, item in value.items()}
        for name in _SECTIONS & result.keys():
            if "runtimeValue" in result[name]:
                section = json.loads(result[name]["runtimeValue"]["constant"])
                result[name] = {"runtimeValue": {"constant": f"keys: {', '.join(sorted(section))}"}}
        return result

    def text(compiled: Any) -> str:
        short = json.dumps(shortened(compiled), indent=1, sort_keys=True)
        return _HASH.sub("<hash>", short) + "\n"

    return text
