"""A folder as `tapeline compile --target kubeflow` writes it, without the minute that takes."""

from __future__ import annotations

import re
from pathlib import Path

SPECIFICATION = """
pipelineInfo:
  name: small
schemaVersion: 2.1.0
sdkVersion: tfx-1.16.0
root:
  inputDefinitions:
    parameters:
      span: {parameterType: STRING, defaultValue: ''}
      epochs: {parameterType: NUMBER_INTEGER, defaultValue: 5}
      rate: {parameterType: NUMBER_DOUBLE, defaultValue: 0.5}
      warm: {parameterType: BOOLEAN, defaultValue: false}
  dag:
    tasks:
      ExampleGen:
        taskInfo: {name: ExampleGen}
        componentRef: {name: ExampleGen}
      Trainer:
        taskInfo: {name: Trainer}
        componentRef: {name: Trainer}
        dependentTasks: [ExampleGen]
components:
  ExampleGen: {executorLabel: ExampleGen_executor}
  Trainer: {executorLabel: Trainer_executor}
deploymentSpec:
  executors:
    ExampleGen_executor:
      container: {image: 'registry.invalid/small:1', command: ['true']}
    Trainer_executor:
      container: {image: 'registry.invalid/small:1', command: ['true']}
"""

_CONFIG = Path(__file__).parents[1] / "configs" / "breast_cancer.yaml"


def write_compiled(
    folder: Path,
    specification: str = SPECIFICATION,
    *,
    kubeflow: str = "{}",
) -> Path:
    """Writes the files that submitting reads, and returns their folder.

    Args:
        kubeflow: the section `orchestration.kubeflow`, in YAML.
    """
    folder.mkdir()
    (folder / "pipeline.yaml").write_text(specification)
    (name,) = re.findall(r"^pipelineInfo:\n  name: (\S+)$", specification, re.MULTILINE)
    config = _CONFIG.read_text().replace("name: breast_cancer\n", f"name: {name}\n", 1)
    config = f"{config}\norchestration:\n  kubeflow: {kubeflow}\n"
    (folder / "config.yaml").write_text(config)
    return folder
