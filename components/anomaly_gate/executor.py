"""The gate's executor: gathers what was found, holds it to the policy, and fails if it stops."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils
from tfx.types import standard_component_specs as specs

from components.anomaly_gate.checks import own_findings
from components.anomaly_gate.config import ValidateConfig
from components.anomaly_gate.distances import Distance, measure, too_far
from components.anomaly_gate.driver import VALIDATE
from components.anomaly_gate.findings import (
    PREVIOUS,
    SCHEMA,
    SERVING,
    TRAIN,
    Finding,
    Statistics,
    find,
)
from components.anomaly_gate.missing import missing_changes
from components.anomaly_gate.policy import with_level
from components.anomaly_gate.rules import DRIFT, SKEW
from components.anomaly_gate.serving_logs import serving_statistics
from components.anomaly_gate.strategy import SCHEMA_ID, SCOPE, STATISTICS_ID
from components.anomaly_gate.verdict import (
    AnomaliesFound,
    Verdict,
    digest_of,
    earlier_acceptance,
    read_acceptance,
)
from components.example_gen.source import DataError
from components.schema_file.features import SERVING as SERVING_ENVIRONMENT
from components.schema_file.features import TRAINING, column_type, with_environments
from components.schema_file.file import read_schema
from components.statistics import load_statistics
from trainer_module.tasks import load_task_class

VERDICT = "verdict"
PREVIOUS_STATISTICS, PREVIOUS_SCHEMA = "previous_statistics", "previous_schema"
LABEL, IS_REVIEWED, RUN_FOLDERS = "label", "is_reviewed", "run_folders"
TASK, CODE = "task", "code"
ACCEPTED_BY, ACCEPTED_WHY = "accepted_by", "accepted_why"
"""Properties of the output where someone accepted what stops."""

_SPLIT = "train"


class Executor(base_beam_executor.BaseBeamExecutor):
    """Lets data through, or raises AnomaliesFound; DataError where the task cannot read them.

    Runs a Beam job for serving logs alone.
    """

    def Do(  # noqa: N802  TFX's name
        self,
        input_dict: dict[str, list[Any]],
        output_dict: dict[str, list[Any]],
        exec_properties: dict[str, Any],
    ) -> None:
        self._log_startup(input_dict, output_dict, exec_properties)
        output = artifact_utils.get_single_instance(output_dict[VERDICT])
        artifact = artifact_utils.get_single_instance(input_dict[specs.STATISTICS_KEY])
        schema_artifact = artifact_utils.get_single_instance(input_dict[specs.SCHEMA_KEY])
        config = ValidateConfig.model_validate_json(exec_properties[VALIDATE])
        label = exec_properties[LABEL]
        is_reviewed = bool(exec_properties[IS_REVIEWED])

        statistics = _statistics(artifact)
        schema = with_environments(_schema(schema_artifact), label)
        anomalies = artifact_utils.get_single_instance(input_dict[specs.ANOMALIES_KEY])
        findings = own_findings(statistics, label, config.min_rows)
        findings += find(
            _anomalies(anomalies, list(statistics)),
            schema,
            statistics,
            SCHEMA if is_reviewed else TRAIN,
            TRAINING,
            None if is_reviewed else statistics[_SPLIT],
        )
        previous = input_dict.get(PREVIOUS_STATISTICS) or []
        previous_schema = input_dict.get(PREVIOUS_SCHEMA) or []
        distances: list[Distance] = []
        if previous:
            other = load_statistics(previous[0].uri, _SPLIT)
            if previous_schema and not is_reviewed:
                expected = with_environments(_schema(previous_schema[0]), label)
                findings += _against(expected, statistics, PREVIOUS, TRAINING, other)
            distances = measure(statistics[_SPLIT], other, schema, config.drift, DRIFT)
            distances += missing_changes(statistics[_SPLIT], other, config.drift)
            findings += too_far(distances, DRIFT, PREVIOUS, _SPLIT)
        if config.skew.serving_logs:
            findings += self._served(statistics, schema, config)

        task = json.loads(exec_properties[TASK])
        read = task["columns"]
        findings = [with_level(finding, config, label, read) for finding in findings]
        folder = Path(output.uri)
        digest = digest_of(statistics, findings)
        verdict = Verdict(findings, distances, previous[0].uri if previous else None, digest)
        if verdict.stops:
            run_id = self._context.pipeline_run_id if self._context else None
            acceptance = read_acceptance(
                Path(exec_properties[RUN_FOLDERS], run_id or "")
            ) or earlier_acceptance(folder.parent, digest)
            if acceptance is None:
                raise AnomaliesFound.of(verdict)
            verdict = Verdict(findings, distances, verdict.reference, digest, acceptance)
            output.set_string_custom_property(ACCEPTED_BY, acceptance.by)
            output.set_string_custom_property(ACCEPTED_WHY, acceptance.why)
        # After the verdict: where a column has changed, that is what to tell of.
        _check_columns(schema, label, task)
        verdict.write(folder)
        output.set_int_custom_property(STATISTICS_ID, artifact.id)
        output.set_int_custom_property(SCHEMA_ID, schema_artifact.id)
        output.set_string_custom_property(SCOPE, exec_properties[SCOPE])

    def _served(
        self, statistics: Statistics, schema: schema_pb2.Schema, config: ValidateConfig
    ) -> list[Finding]:
        """Returns what is wrong with the requests in the logs, and how far `train` is from them."""
        pattern = str(config.skew.serving_logs)
        folder = self._get_tmp_dir()
        served = serving_statistics(pattern, self._make_beam_pipeline(), schema, folder)
        found = _against(schema, {"serving": served}, SERVING, SERVING_ENVIRONMENT)
        distances = measure(statistics[_SPLIT], served, schema, config.skew, SKEW)
        return found + too_far(distances, SKEW, SERVING, _SPLIT)


def _against(
    schema: schema_pb2.Schema,
    statistics: Statistics,
    against: str,
    environment: str,
    inferred_from: statistics_pb2.DatasetFeatureStatisticsList | None = None,
) -> list[Finding]:
    known = environment if environment in schema.default_environment else None
    anomalies = {
        split: tfdv.validate_statistics(found, schema, environment=known)
        for split, found in statistics.items()
    }
    return find(anomalies, schema, statistics, against, environment, inferred_from)


def _check_columns(schema: schema_pb2.Schema, label: str, task: Mapping[str, Any]) -> None:
    """Checks that the task can read the columns, which Transform would find out minutes later.

    Raises:
        DataError: if it cannot.
    """
    task_class = load_task_class(task["name"])
    types = {feature.name: column_type(feature) for feature in schema.feature}
    problems = task_class.column_problems(types, label=label, **task["options"])
    if problems:
        raise DataError("\n".join(problems))


def _statistics(artifact: Any) -> Statistics:
    splits = artifact_utils.decode_split_names(artifact.split_names)
    return {split: load_statistics(artifact.uri, split) for split in splits}


def _anomalies(artifact: Any, splits: list[str]) -> dict[str, anomalies_pb2.Anomalies]:
    """Returns what ExampleValidator wrote, by split."""
    return {
        split: anomalies_pb2.Anomalies.FromString(
            Path(artifact.uri, f"Split-{split}", "SchemaDiff.pb").read_bytes()
        )
        for split in splits
    }


def _schema(artifact: Any) -> schema_pb2.Schema:
    (path,) = Path(artifact.uri).glob("*.pbtxt")
    return read_schema(path)
