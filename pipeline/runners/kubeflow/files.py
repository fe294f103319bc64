"""Compiles the graph of a run into the pipeline specification of Kubeflow.

TFX's compiler does the most. What it leaves out is put in afterwards: defaults of runtime
parameters, resources, retries, secrets, the volume, and the drivers of nodes.
"""

from __future__ import annotations

import json
from typing import Any

import yaml
from tfx.dsl.experimental.conditionals.conditional import get_predicates
from tfx.orchestration.data_types import RuntimeParameter
from tfx.orchestration.kubeflow.v2.kubeflow_v2_dag_runner import (
    KubeflowV2DagRunner,
    KubeflowV2DagRunnerConfig,
)
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.portable import base_driver
from tfx.types.channel import ChannelWrappedPlaceholder
from tfx.utils import name_utils

from pipeline.beam.config import DirectConfig
from pipeline.config import RunConfig
from pipeline.config_file import ConfigError
from pipeline.graph import build_pipeline
from pipeline.lookups import FolderLookups
from pipeline.runners.kubeflow.checks import VERTEX
from pipeline.runners.kubeflow.config import KubeflowConfig
from pipeline.runners.kubeflow.entrypoint import DRIVER, EXECUTOR
from pipeline.runners.kubeflow.lint import spec_problems
from pipeline.runners.kubeflow.package import FILES
from pipeline.runners.kubeflow.platform import platform_spec, with_resources
from trainer_module.tasks.base import Task

COMMAND = ["python", "-m", "pipeline.runners.kubeflow.entrypoint"]
ACCEPTED_FOLDER = "accepted"
_ALWAYS_RUN = ("Pusher", "WarmStart", "Baseline", "AcceptedData", "AcceptedRecord")
"""What these find or leave in folders, no cache knows."""

Spec = dict[str, Any]


def kubeflow_files(config: RunConfig, task: Task, target: str) -> dict[str, str]:
    """Returns the text of the compiled pipeline, by the name of its file.

    Args:
        config: one that has no `kubeflow_problems`.
        task: the task that `config` names.
        target: `kubeflow`: a PipelineSpec, schema 2.1.0, for open-source Kubeflow Pipelines;
            `vertex`: a PipelineJob.

    Raises:
        ConfigError: if what came out cannot run there.
    """
    kubeflow = config.orchestration.kubeflow
    placed = _placed(config)
    pipeline = build_pipeline(
        placed,
        task,
        lookups=FolderLookups(placed.model_folder, placed.pipeline_root / ACCEPTED_FOLDER),
    )
    job = _compile(pipeline, str(kubeflow.image))
    spec = job["pipelineSpec"]
    _add_defaults(spec, pipeline)
    _add_drivers(spec, pipeline, target)
    _set_caching(spec, config.cache and target == VERTEX)
    with_resources(spec, kubeflow)
    problems = spec_problems(FILES[target], spec, target)
    if problems:
        raise ConfigError(*problems)
    if target == VERTEX:
        job["runtimeConfig"] = {"gcsOutputDirectory": kubeflow.pipeline_root}
        return {FILES[target]: json.dumps(job, indent=1, sort_keys=True) + "\n"}
    return {FILES[target]: _yaml(spec, kubeflow)}


def _placed(config: RunConfig) -> RunConfig:
    """Returns the configuration as it is in the containers."""
    beam = config.beam
    if isinstance(beam, DirectConfig) and beam.running_mode == "auto":
        # Goes by the cores and the data of the machine that it is asked on, which this is not.
        beam = DirectConfig(running_mode="in_memory")
    return config.model_copy(update={"root": config.orchestration.kubeflow.root, "beam": beam})


def _compile(pipeline: Pipeline, image: str) -> Spec:
    _unname_conditions(pipeline)
    settings = KubeflowV2DagRunnerConfig(
        default_image=image, default_commands=COMMAND, use_pipeline_spec_2_1=True
    )
    job: Spec = KubeflowV2DagRunner(settings).run(pipeline, write_out=False)
    return job


def _unname_conditions(pipeline: Pipeline) -> None:
    """Takes away the names that conditions have for artifacts, for the compiler to give its own.

    TFX names an artifact by its producer. A node that has it among its inputs anyway is given it
    under that input's name alone, and its condition would ask for what is not there.
    """
    for node in pipeline.components:
        for predicate in get_predicates(node, pipeline.dsl_context_registry):
            for part in predicate.traverse():
                if isinstance(part, ChannelWrappedPlaceholder):
                    part.set_key(None)


def _add_defaults(spec: Spec, pipeline: Pipeline) -> None:
    """Puts the defaults of runtime parameters back, which TFX's compiler drops."""
    defaults = {
        value.name: value.default
        for node in pipeline.components
        for value in node.exec_properties.values()
        if isinstance(value, RuntimeParameter) and value.default is not None
    }
    parameters = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    for name, definition in parameters.items():
        if name in defaults:
            definition["defaultValue"] = defaults[name]


def _add_drivers(spec: Spec, pipeline: Pipeline, target: str) -> None:
    """Has nodes run the drivers that they come with.

    Vertex runs them before it looks into its cache, as a hook. Open-source Kubeflow does not know
    the hook: there the entrypoint runs them before the executor.
    """
    for node in pipeline.components:
        if not issubclass(node.driver_class, base_driver.BaseDriver):
            continue
        container = _executors(spec)[f"{node.id}_executor"]["container"]
        driver = [DRIVER, name_utils.get_full_name(node.driver_class)]
        if target == VERTEX:
            executor = container["args"].index(EXECUTOR)
            rest = [*container["args"][:executor], *container["args"][executor + 2 :]]
            hook = {"command": COMMAND, "args": [*driver, *rest]}
            container["lifecycle"] = {"preCacheCheck": hook}
        else:
            container["args"] = [*driver, *container["args"]]


def _set_caching(spec: Spec, wanted: bool) -> None:
    """Lets the platform reuse outputs, or not.

    Open-source Kubeflow decides before a container runs, and so before anyone knows what the data
    are: it must never reuse anything.
    """
    for name, task in spec["root"]["dag"]["tasks"].items():
        task["cachingOptions"] = {"enableCache": True} if wanted and name not in _ALWAYS_RUN else {}


def _yaml(spec: Spec, kubeflow: KubeflowConfig) -> str:
    """Returns the specification as Kubeflow's own SDK writes it, the platform's part last."""
    if kubeflow.pipeline_root is not None:
        spec["defaultPipelineRoot"] = kubeflow.pipeline_root
    documents = [spec]
    platform = platform_spec(spec, kubeflow)
    if platform:
        documents.append(platform)
    return yaml.safe_dump_all(documents, sort_keys=True, width=100)


def _executors(spec: Spec) -> Spec:
    executors: Spec = spec["deploymentSpec"]["executors"]
    return executors
