"""What of a configuration cannot be on Kubeflow, found before anything is compiled."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from pipeline.beam.config import DataflowConfig, DirectConfig, FlinkConfig, PortableConfig
from pipeline.config import RunConfig
from pipeline.config_file import Problem, Source
from pipeline.node_names import node_names, unknown_nodes

KUBEFLOW, VERTEX = "kubeflow", "vertex"

PIPELINE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,127}")
_SECTION = "orchestration.kubeflow"
_FUSE = "/gcs/"
"""Where Vertex shows the buckets of Cloud Storage to its containers."""


def kubeflow_problems(config: RunConfig, source: Source, target: str) -> list[Problem]:
    """Checks a configuration for a target; imports neither TFX nor TensorFlow.

    Args:
        source: where the configuration came from, for the messages.
        target: `kubeflow`, the open-source one, or `vertex`.
    """
    kubeflow = config.orchestration.kubeflow
    problems = []
    if not PIPELINE_NAME.fullmatch(config.name):
        allowed = f"a text that matches {PIPELINE_NAME.pattern}, which Kubeflow takes for a name"
        problems.append(source.problem("name", repr(config.name), allowed))
    if kubeflow.image is None:
        allowed = "the image that the containers run, as registry/name:tag"
        problems.append(source.problem(f"{_SECTION}.image", "null", allowed))
    names = node_names(config, records=True)
    problems += unknown_nodes(source, f"{_SECTION}.nodes", kubeflow.nodes, names)
    problems += _path_problems(config, source)
    problems += _beam_problems(config, source)
    if target == VERTEX:
        problems += _vertex_problems(config, source)
    elif kubeflow.claim is None:
        allowed = (
            "a PersistentVolumeClaim for checkpoints, served models and accepted data, which a "
            "container alone would lose"
        )
        problems.append(source.problem(f"{_SECTION}.claim", "null", allowed))
    return problems


def _path_problems(config: RunConfig, source: Source) -> list[Problem]:
    """Checks that paths mean the same in a container, which has another working directory."""
    paths = {
        "data.path": getattr(config.data, "path", None),
        "schema.path": config.schema.path,
        "serve.root": config.serve.root,
        "validate.skew.serving_logs": config.validate.skew.serving_logs,
    }
    return [
        source.problem(key, repr(path), "an absolute path, as the containers see it, or a URL")
        for key, path in paths.items()
        if path is not None and "://" not in path and not PurePosixPath(path).is_absolute()
    ]


def _beam_problems(config: RunConfig, source: Source) -> list[Problem]:
    """Checks that the engine needs no process beside the nodes, and no knowledge of a machine."""
    beam = config.beam
    if isinstance(beam, DirectConfig):
        if beam.running_mode == "multi_processing" and beam.workers is None:
            allowed = "a number with multi_processing: the containers' cores are not known here"
            return [source.problem("beam.workers", "null", allowed)]
        return []
    lacks = (
        (isinstance(beam, PortableConfig) and beam.job_endpoint is None)
        or isinstance(beam, FlinkConfig)
        or (isinstance(beam, DataflowConfig) and beam.image is None)
    )
    if lacks:
        allowed = (
            "direct, portable with addresses, spark, or dataflow with an image: what else there is "
            "needs a process that lives as long as the run"
        )
        return [source.problem("beam.engine", beam.engine, allowed)]
    return []


def _vertex_problems(config: RunConfig, source: Source) -> list[Problem]:
    """Checks what is Kubernetes' alone, and that all that lasts is in Cloud Storage."""
    kubeflow = config.orchestration.kubeflow
    problems = []
    if kubeflow.claim is not None:
        found = repr(kubeflow.claim)
        problems.append(source.problem(f"{_SECTION}.claim", found, "null on Vertex"))
    if not kubeflow.root.startswith(_FUSE):
        allowed = f"{_FUSE}<bucket>/..., which Vertex mounts"
        problems.append(source.problem(f"{_SECTION}.root", repr(kubeflow.root), allowed))
    root = kubeflow.pipeline_root
    if root is None or not root.startswith("gs://"):
        found = "null" if root is None else repr(root)
        problems.append(source.problem(f"{_SECTION}.pipeline_root", found, "gs://<bucket>/..."))
    sections = {f"{_SECTION}.default": kubeflow.default} | {
        f"{_SECTION}.nodes.{name}": node for name, node in kubeflow.nodes.items()
    }
    allowed = "none on Vertex, whose containers get at Secret Manager by their service account"
    problems += [
        source.problem(f"{key}.secrets", ", ".join(secret.name for secret in node.secrets), allowed)
        for key, node in sections.items()
        if node.secrets
    ]
    return problems
