"""The AnomalyGate component: nothing that it stops is transformed, trained on or pushed."""

from __future__ import annotations

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts
from tfx.types import standard_component_specs as specs

from components.anomaly_gate.config import ValidateConfig
from components.anomaly_gate.driver import LOGS, VALIDATE, GateDriver
from components.anomaly_gate.executor import (
    CODE,
    IS_REVIEWED,
    LABEL,
    PREVIOUS_SCHEMA,
    PREVIOUS_STATISTICS,
    RUN_FOLDERS,
    TASK,
    VERDICT,
    Executor,
)
from components.anomaly_gate.strategy import SCOPE, GateVerdict


class AnomalyGateSpec(component_spec.ComponentSpec):
    """Inputs and parameters of AnomalyGate; what has a structure is JSON."""

    PARAMETERS = {
        **{
            name: component_spec.ExecutionParameter(type=str)
            for name in (VALIDATE, LABEL, SCOPE, TASK, RUN_FOLDERS, LOGS, CODE)
        },
        IS_REVIEWED: component_spec.ExecutionParameter(type=int),
    }
    INPUTS = {
        specs.STATISTICS_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.ExampleStatistics
        ),
        specs.SCHEMA_KEY: component_spec.ChannelParameter(type=standard_artifacts.Schema),
        specs.ANOMALIES_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.ExampleAnomalies
        ),
        PREVIOUS_STATISTICS: component_spec.ChannelParameter(
            type=standard_artifacts.ExampleStatistics, optional=True
        ),
        PREVIOUS_SCHEMA: component_spec.ChannelParameter(
            type=standard_artifacts.Schema, optional=True
        ),
    }
    OUTPUTS = {VERDICT: component_spec.ChannelParameter(type=GateVerdict)}


class AnomalyGate(base_component.BaseComponent):
    """Fails if `anomalies`, or what is found besides, are such as `validate` stops.

    Args:
        previous_statistics, previous_schema: of the data that went through before, if any did.
        is_reviewed: the schema is from a file, and says what there should be; else it was inferred
            from the same data, and the previous one says so.
        scope: of the data; the previous data are of the same.
        task: as JSON, its dotted path and the options of its preprocessing_fn: whether it can read
            such columns.
        run_folders: where each run has a folder, by its id, that may hold an acceptance.
        code: hash of the source that decides.
    """

    SPEC_CLASS = AnomalyGateSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)
    DRIVER_CLASS = GateDriver

    def __init__(
        self,
        statistics: channel.BaseChannel,
        schema: channel.BaseChannel,
        anomalies: channel.BaseChannel,
        previous_statistics: channel.BaseChannel,
        previous_schema: channel.BaseChannel,
        validate: ValidateConfig,
        label: str,
        is_reviewed: bool,
        scope: str,
        task: str,
        run_folders: str,
        code: str,
    ) -> None:
        super().__init__(
            spec=AnomalyGateSpec(
                statistics=statistics,
                schema=schema,
                anomalies=anomalies,
                previous_statistics=previous_statistics,
                previous_schema=previous_schema,
                validate=validate.model_dump_json(),
                label=label,
                is_reviewed=int(is_reviewed),
                scope=scope,
                task=task,
                run_folders=run_folders,
                logs="",
                code=code,
                verdict=channel.Channel(type=GateVerdict),
            )
        )
