"""What the open-source Kubeflow Pipelines API server refuses, and in which words.

Written after its source at kubeflow/pipelines; a comment names the file and the function of each
rule, below backend/src/ if it begins with none else. Runs in the submission environment, which has
the protocol buffers of a current kfp.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from server_cron import check_cron

# google.rpc.Code, and what grpc-gateway makes of it (runtime/errors.go, HTTPStatusFromCode)
STATUS = {3: 400, 5: 404, 6: 409, 7: 403, 13: 500, 16: 401}


class Refused(Exception):
    """common/util/error.go, UserError: a code, a chain of messages, and one for outsiders."""

    def __init__(self, message: str, code: int = 3, outside: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.outside = outside or message

    def wrapped(self, what: str, *, internal: bool = False) -> Refused:
        """util.Wrap, which keeps the code; util.NewInternalServerError, which does not."""
        if internal:
            return Refused(
                f"InternalServerError: {what}: {self}", code=13, outside="Internal Server Error"
            )
        return Refused(f"{what}: {self}", self.code, self.outside)


def invalid(message: str) -> Refused:
    """util.NewInvalidInputError."""
    return Refused(f"Invalid input error: {message}", outside=message)


def invalid_spec(message: str) -> Refused:
    """util.NewInvalidInputErrorWithDetails(ErrorInvalidPipelineSpec, ...)."""
    return Refused(f"InvalidInputError: {message}: pipeline spec is invalid", outside=message)


def spec_of(body: dict[str, Any]) -> str:
    """apiserver/server/api_util.go, pipelineSpecStructToYamlString: bare, or with a platform's."""
    found = body.get("pipeline_spec")
    if found is None:
        return ""
    if "pipeline_spec" not in found:
        return yaml.safe_dump(found)
    text = yaml.safe_dump(found["pipeline_spec"])
    if "platform_spec" in found:
        text += "\n---\n" + yaml.safe_dump(found["platform_spec"])
    return text


def read_template(text: str) -> pipeline_spec_pb2.PipelineSpec:
    """apiserver/template/template.go, New, and v2_template.go, NewV2SpecTemplate."""
    specs = []
    for document in yaml.safe_load_all(text):
        spec = pipeline_spec_pb2.PipelineSpec()
        try:
            json_format.ParseDict(document, spec)  # strict: an unknown field is an error
        except json_format.ParseError:
            if not _is_platform(document):
                raise invalid_spec("unknown template format") from None
            continue
        if not spec.pipeline_info.name or not spec.HasField("root"):
            if not _is_platform(document):
                raise invalid_spec("unknown template format")
            continue
        specs.append(spec)
    if not specs:
        raise invalid_spec("unknown template format")
    if len(specs) > 1:
        raise invalid_spec("multiple pipeline specs provided")
    (spec,) = specs
    if spec.schema_version != "2.1.0":
        raise invalid_spec(
            "KFP only supports schema version 2.1.0, but the pipeline spec has version "
            f"{spec.schema_version}"
        )
    # the server's pattern is searched for, not anchored
    if not re.search(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", spec.pipeline_info.name):
        raise invalid_spec(
            "invalid v2 pipeline spec: name should consist of lower case alphanumeric characters, "
            "'-' or '.', and must start and end with an alphanumeric character"
        )
    return spec


def _is_platform(document: Any) -> bool:
    """apiserver/template/v2_template.go, IsPlatformSpecWithKubernetesConfig."""
    try:
        spec = json_format.ParseDict(document, pipeline_spec_pb2.PlatformSpec())
    except json_format.ParseError:
        return False
    return "kubernetes" in spec.platforms


# The kind of a value that each type of a parameter takes, and how the server calls the two.
_KINDS: dict[str, tuple[type, str, str]] = {
    "NUMBER_DOUBLE": (float, "double or integer", "number"),
    "NUMBER_INTEGER": (float, "double or integer", "number"),
    "STRING": (str, "string", "string"),
    "BOOLEAN": (bool, "bool", "bool"),
    "LIST": (list, "list", "list"),
    "STRUCT": (dict, "struct", "struct"),
}


def check_inputs(spec: pipeline_spec_pb2.PipelineSpec, values: dict[str, Any]) -> None:
    """apiserver/template/v2_template.go, validatePipelineJobInputs."""
    parameters = spec.root.input_definitions.parameters
    for name, parameter in parameters.items():
        if name not in values:
            if not parameter.is_optional and not parameter.HasField("default_value"):
                raise invalid(
                    f"parameter {name} is not optional, yet has neither default value nor user "
                    "provided value"
                )
            continue
        kind = pipeline_spec_pb2.ParameterType.ParameterTypeEnum.Name(parameter.parameter_type)
        if kind not in _KINDS:
            raise invalid(f"input parameter {name} has unspecified type")
        wanted, words, short = _KINDS[kind]
        value = float(values[name]) if type(values[name]) is int else values[name]
        if type(value) is not wanted:
            raise invalid(
                f"input parameter {name} requires type {words}, but the parameter value is not of "
                f"{short} value type"
            )
    extra = [name for name in values if name not in parameters]
    if extra:
        raise invalid(f"parameter(s) provided are not required by pipeline: {', '.join(extra)}")


def check_workflow(spec: pipeline_spec_pb2.PipelineSpec) -> None:
    """Refuses what cannot become an Argo workflow.

    v2/compiler/visitor.go, dfs; v2/compiler/argocompiler/dag.go, DAG and task; and what Argo
    (workflow/validate/validate.go) and Kubernetes say of names.
    """
    deployment = pipeline_spec_pb2.PipelineDeploymentConfig()
    json_format.ParseDict(
        json_format.MessageToDict(spec.deployment_spec), deployment, ignore_unknown_fields=True
    )
    # argo.go, Compile: the workflow's generateName; Kubernetes wants a DNS-1123 subdomain
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", spec.pipeline_info.name):
        raise Refused(
            f'Workflow.argoproj.io "" is invalid: metadata.generateName: Invalid value: '
            f'"{spec.pipeline_info.name}-": a lowercase RFC 1123 subdomain must consist of lower '
            "case alphanumeric characters, '-' or '.'",
            code=13,
        )
    if "root" in spec.components:
        raise Refused('component name "root" is reserved', code=13)
    for message in _compile(spec, deployment, "root", spec.root, ()):
        raise Refused(message, code=13)


def _compile(
    spec: Any, deployment: Any, name: str, component: Any, above: tuple[str, ...]
) -> Iterator[str]:
    if name in above:
        yield f"circular component reference detected: {' -> '.join([*above, name])}"
        return
    label = component.executor_label
    if label:
        if label not in deployment.executors:
            yield f'executor(label="{label}") not found in deployment config'
        elif deployment.executors[label].WhichOneof("spec") not in ("container", "importer"):
            yield (
                f'error processing component name="{name}": executor(label="{label}"): '
                "non-container and non-importer executor not implemented"
            )
        return
    if not component.HasField("dag"):
        yield f'error processing component name="{name}": unknown component implementation'
        return
    tasks = component.dag.tasks
    completed = pipeline_spec_pb2.PipelineTaskSpec.TriggerPolicy.ALL_UPSTREAM_TASKS_COMPLETED
    if all(task.trigger_policy.strategy == completed for task in tasks.values()):
        yield f"DAG {name} must contain one or more non-exit tasks"
    for key, task in sorted(tasks.items()):
        reference = task.component_ref.name
        if reference not in spec.components:
            yield f'cannot find component ref name="{reference}" for task name="{key}"'
            continue
        inner = spec.components[reference]
        # Argo: isValidWorkflowFieldName, of tasks, and of the templates that DAGs become
        for field in (key, *([reference] if inner.HasField("dag") else [])):
            if len(field) > 128 or not re.fullmatch(r"[a-zA-Z0-9][-a-zA-Z0-9]*", field):
                yield (
                    f"'{field}' is invalid: name must consist of alpha-numeric characters or '-', "
                    "and must start with an alpha-numeric character (e.g. My-name1-2, 123-NAME)"
                )
        if task.HasField("artifact_iterator"):
            yield "artifact iterator not implemented yet"
        if unknown := [other for other in task.dependent_tasks if other not in tasks]:
            yield f'compiling task "{key}": cannot find task {unknown[0]}'
        label = inner.executor_label
        imports = label in deployment.executors and deployment.executors[label].HasField("importer")
        if imports and task.trigger_policy.condition:
            yield "triggerPolicy.condition on importer task is not supported"
        yield from _compile(spec, deployment, reference, inner, (*above, name))


def check_pipeline(body: dict[str, Any], kind: str) -> None:
    """apiserver/resource/resource_manager.go, CreateRun and CreateJob, as far as the spec goes."""
    text = spec_of(body)
    if not text:
        raise invalid("Pipeline spec source is missing")
    try:
        spec = read_template(text)
    except Refused as error:
        # CreateRun and CreateJob: fetchTemplateFromPipelineSpec
        raise error.wrapped(
            {
                "run": "Failed to create a run due to error fetching manifest",
                "recurring run": "Failed to create a recurring run with an invalid pipeline spec "
                "manifest",
            }[kind],
            internal=True,
        ) from error
    try:
        check_inputs(spec, (body.get("runtime_config") or {}).get("parameters") or {})
    except Refused as error:
        raise error.wrapped("invalid pipeline job inputs") from error
    try:
        check_workflow(spec)
    except Refused as error:
        raise error.wrapped("Failed to compile job") from error


def check_recurring(body: dict[str, Any]) -> None:
    """apiserver/server/api_converter.go, toModelJob."""
    if not body.get("display_name"):
        raise invalid("Recurring run's name cannot be empty").wrapped(
            "Failed to convert a API recurring run to its internal representation", internal=True
        )
    most = int(body.get("max_concurrency") or 0)
    if not 1 <= most <= 10:
        raise invalid(
            f"Max concurrency of a recurring run must be at least 1 and at most 10. Received {most}"
        )
    trigger = body.get("trigger") or {}
    if "cron_schedule" in trigger:
        try:
            check_cron(trigger["cron_schedule"].get("cron") or "")
        except ValueError as error:
            raise invalid(
                "Schedule cron is not a supported format(https://godoc.org/github.com/robfig/cron)."
                f" Error: {error}"
            ) from error
    if "periodic_schedule" in trigger:
        interval = int(trigger["periodic_schedule"].get("interval_second") or 0)
        if interval < 1:
            raise invalid(
                f"Found invalid period schedule interval {interval}. Set at interval to least 1 "
                "second"
            )
