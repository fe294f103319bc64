"""Compiles a small pipeline with TFX's own Kubeflow runner as it is, into a folder.

    python -m tests.kubeflow.stock_pipeline FOLDER

`schema-2.0.yaml` is what the runner writes by default; `resolver.yaml` and `parameter.yaml` are of
schema 2.1, with a resolver, and with a runtime parameter without its default.
"""

from __future__ import annotations

import sys

from tfx import v1 as tfx
from tfx.orchestration import data_types
from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner as runner


def _compile(folder: str, name: str, nodes: list[object], **settings: object) -> None:
    config = runner.KubeflowV2DagRunnerConfig(default_image="registry.invalid/stock:1", **settings)
    compiler = runner.KubeflowV2DagRunner(config, output_dir=folder, output_filename=f"{name}.yaml")
    pipeline = tfx.dsl.Pipeline("stock", "minio://mlpipeline/stock", components=nodes)
    compiler.run(pipeline, write_out=True)


def main(folder: str) -> None:
    _compile(folder, "schema-2.0", [tfx.components.ImportExampleGen(input_base="data")])
    latest = tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestArtifactStrategy,
        examples=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Examples),
    ).with_id("Latest")
    statistics = tfx.components.StatisticsGen(examples=latest.outputs["examples"])
    _compile(folder, "resolver", [latest, statistics], use_pipeline_spec_2_1=True)
    data = data_types.RuntimeParameter(name="data", ptype=str, default="data")
    examples = tfx.components.ImportExampleGen(input_base=data)
    _compile(folder, "parameter", [examples], use_pipeline_spec_2_1=True)


if __name__ == "__main__":
    main(sys.argv[1])
