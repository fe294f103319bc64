"""What every container on Kubeflow runs: `python -m pipeline.runners.kubeflow.entrypoint ...`.

TFX's own entrypoint, with what it lacks around it: artifacts are found where the launcher of
open-source Kubeflow stages them, their types are filled in, look-ups that found nothing count for
nothing, and the driver of a node runs before its executor. The arguments are those of TFX's own.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.runners.kubeflow.executor_input import Json, delocalized, localized, with_driven
from trainer_module import stopping

STAGING = "TAPELINE_STAGING_ROOT"
"""Environment variable: the folder of `minio`, `s3` and `gcs`; the file system's if unset."""

EXECUTOR, DRIVER = "--executor_class_path", "--driver_class_path"
INVOCATION = "--json_serialized_invocation_args"
INPUTS_SPEC = "--json_serialized_inputs_spec_args"


def main(argv: Sequence[str]) -> int:
    """Runs the driver, if one is named, and then the executor, if one is; returns the exit code.

    Given a driver alone, writes what it found to the output file, for the platform to read.
    """
    arguments, beam_args = _parse(argv)
    staging = os.environ.get(STAGING, "").rstrip("/")
    inputs_spec = json.loads(arguments.json_serialized_inputs_spec_args)
    executor_input = localized(
        json.loads(arguments.json_serialized_invocation_args), inputs_spec, staging
    )
    output_file = Path(executor_input["outputs"]["outputFile"])
    stopping.stop_on_sigterm()
    if arguments.driver_class_path:
        driven = _drive(arguments.driver_class_path, executor_input, inputs_spec)
        if not arguments.executor_class_path:
            _write(output_file, delocalized(driven, staging))
            return 0
        executor_input = with_driven(executor_input, driven)
    _make_folders(executor_input)
    try:
        _execute(arguments.executor_class_path, executor_input, inputs_spec, beam_args)
    except stopping.Interrupted as error:
        print(error, file=sys.stderr)
        return stopping.EXIT_CODE
    _write(output_file, delocalized(json.loads(output_file.read_text("utf-8")), staging))
    return 0


def _parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(prog="entrypoint", allow_abbrev=False)
    parser.add_argument(EXECUTOR, help="class of the executor")
    parser.add_argument(DRIVER, help="class of the driver")
    parser.add_argument(INVOCATION, required=True, help="an ExecutorInput")
    parser.add_argument(INPUTS_SPEC, required=True, help="a ComponentInputsSpec")
    arguments, beam_args = parser.parse_known_args(argv)
    if not (arguments.executor_class_path or arguments.driver_class_path):
        parser.error(f"neither {EXECUTOR} nor {DRIVER}")
    return arguments, beam_args


def _drive(class_path: str, executor_input: Json, inputs_spec: Json) -> Json:
    """Returns what a driver found, as an ExecutorOutput."""
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_entrypoint_utils as entry
    from tfx.orchestration.portable import data_types
    from tfx.utils import import_utils

    message = json_format.ParseDict(
        executor_input, pipeline_spec_pb2.ExecutorInput(), ignore_unknown_fields=True
    )
    spec = json_format.ParseDict(
        inputs_spec, pipeline_spec_pb2.ComponentInputsSpec(), ignore_unknown_fields=True
    )
    names: dict[int, str] = {}
    outputs = entry.parse_raw_artifact_dict(message.outputs.artifacts, names)
    driver = import_utils.import_class_by_path(class_path)(None)  # no metadata store to look into
    found = driver.run(
        data_types.ExecutionInfo(
            input_dict=entry.parse_raw_artifact_dict(message.inputs.artifacts, names),
            output_dict=outputs,
            exec_properties=entry.parse_execution_properties(
                message.inputs.parameter_values, message.inputs.parameters, spec
            ),
        )
    )
    result = pipeline_spec_pb2.ExecutorOutput()
    for key, value in found.exec_properties.items():
        kind = value.WhichOneof("value")
        field = "string_value" if kind == "string_value" else "number_value"
        setattr(result.parameter_values[key], field, getattr(value, kind))
    for key, artifacts in found.output_artifacts.items():
        for output, told in zip(outputs[key], artifacts.artifacts, strict=True):
            output.set_mlmd_artifact(told)
            result.artifacts[key].artifacts.append(entry.to_runtime_artifact(output, names))
    found_json: Json = {"parameterValues": {}, "artifacts": {}, **json_format.MessageToDict(result)}
    return found_json


def _execute(
    class_path: str, executor_input: Json, inputs_spec: Json, beam_args: list[str]
) -> None:
    """Runs TFX's own entrypoint in this process."""
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor

    # What workers of Beam are started with.
    from pipeline.beam.processes import worker_environment

    os.environ.update(worker_environment())
    arguments = argparse.Namespace(
        executor_class_path=class_path,
        json_serialized_invocation_args=json.dumps(executor_input),
        json_serialized_inputs_spec_args=json.dumps(inputs_spec),
    )
    kubeflow_v2_run_executor.main((arguments, beam_args))


def _make_folders(executor_input: Json) -> None:
    """Makes the folders of the outputs, as TFX's launcher does for every other runner."""
    for found in executor_input["outputs"].get("artifacts", {}).values():
        for artifact in found["artifacts"]:
            Path(artifact["uri"]).mkdir(parents=True, exist_ok=True)


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
