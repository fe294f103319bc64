"""Digits, compiled for Kubeflow, and run by emulation; each of the long runs once a session."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.config_file import load_config

SMALL = [
    "train.epochs=2",
    "train.warm_start=true",
    "evaluate.slices=[]",
    "evaluate.metrics=[{name: accuracy, head: class, at_least: 0.1, max_regression: 0.9}]",
    "orchestration.kubeflow.image=never/pulled:1",
]
_TARGETS = {
    "kubeflow": ["orchestration.kubeflow.claim=tapeline", "orchestration.kubeflow.root=/emulated"],
    "vertex": [
        "orchestration.kubeflow.pipeline_root=gs://bucket/root",
        "orchestration.kubeflow.root=/gcs/bucket/tapeline",
    ],
}


@pytest.fixture(scope="session")
def compile_spec(repository: Path) -> Callable[..., dict[str, Any]]:
    """Compiles the small pipeline; returns its PipelineSpec with the volume in a folder."""
    from pipeline.runners.kubeflow.files import kubeflow_files
    from trainer_module.tasks import make_task

    def compile_to(target: str, volume: Path, *overrides: str) -> dict[str, Any]:
        path = str(repository / "configs" / "digits.yaml")
        config = load_config(path, [*SMALL, *_TARGETS[target], *overrides])
        (text,) = kubeflow_files(config, make_task(config.task), target).values()
        text = text.replace(config.orchestration.kubeflow.root, str(volume))
        if target == "vertex":
            return json.loads(text)["pipelineSpec"]
        return next(yaml.safe_load_all(text))

    return compile_to


@pytest.fixture(scope="session")
def emulated(compile_spec, tmp_path_factory):
    """Makes an emulator of a target in a folder of its own, its volume there too."""
    from tests.kubeflow.emulation.emulator import Emulator

    def make(target: str, *overrides: str, **options: Any) -> Emulator:
        folder = tmp_path_factory.mktemp(target)
        spec = compile_spec(target, folder / "volume", *overrides)
        root = "minio://mlpipeline/v2" if target == "kubeflow" else "gs://bucket/root"
        return Emulator(spec, root, folder, open_source=target == "kubeflow", **options)

    return make


@pytest.fixture(scope="session")
def open_source(emulated):
    """The emulator of open-source Kubeflow, and a run in it to a pushed model."""
    emulator = emulated("kubeflow")
    return emulator, emulator.run()


@pytest.fixture(scope="session")
def vertex(emulated):
    """The same of Vertex."""
    emulator = emulated("vertex")
    return emulator, emulator.run()


@pytest.fixture(scope="session")
def local(tmp_path_factory, repository, cold_tapeline) -> Path:
    """The version folder that `tapeline run` pushes by the same configuration."""
    folder = tmp_path_factory.mktemp("local")
    path = str(repository / "configs" / "digits.yaml")
    sets = [part for override in SMALL for part in ("--set", override)]
    done = cold_tapeline("run", path, "--json", *sets, cwd=folder)
    assert done.code == 0, done
    return Path(done.summary["servable"])
