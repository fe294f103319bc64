"""Reads a pipeline as strictly as kfp can: `.venv-kfp/bin/python tests/kubeflow/strict.py FILE`.

Prints what a current kfp takes it for, as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import yaml
from google.protobuf import json_format
from kfp import components
from kfp.pipeline_spec import pipeline_spec_pb2


def main(file: str) -> None:
    pipeline, *platforms = yaml.safe_load_all(Path(file).read_text())
    spec = json_format.ParseDict(pipeline, pipeline_spec_pb2.PipelineSpec())
    # The servers ignore unknown fields in here, and so would never say that one is misspelt.
    deployment = json_format.MessageToDict(spec.deployment_spec)
    json_format.ParseDict(deployment, pipeline_spec_pb2.PipelineDeploymentConfig())
    for platform in platforms:
        json_format.ParseDict(platform, pipeline_spec_pb2.PlatformSpec())
    component = components.load_component_from_file(file)
    inputs = component.component_spec.inputs or {}
    told = {
        "name": component.name,
        "inputs": {name: one.default for name, one in inputs.items()},
        "schema": spec.schema_version,
        "platforms": len(platforms),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1])
