"""Keeps what the gate let through in a folder, and looks it up there."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, channel, component_spec, standard_artifacts

from components.anomaly_gate.strategy import CANDIDATE, SCHEMA, STATISTICS, VERDICT, GateVerdict
from components.lookups.absence import mark_absent
from components.lookups.accepted_records import previous, scope_folder, write_record

_FOLDER, _SCOPE = "folder", "scope"
_PARAMETERS = {
    _FOLDER: component_spec.ExecutionParameter(type=str),
    _SCOPE: component_spec.ExecutionParameter(type=str),
}


class AcceptedDataSpec(component_spec.ComponentSpec):
    """Inputs and parameters of AcceptedData."""

    PARAMETERS = _PARAMETERS
    INPUTS = {CANDIDATE: component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics)}
    OUTPUTS = {
        STATISTICS: component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
        SCHEMA: component_spec.ChannelParameter(type=standard_artifacts.Schema),
    }


class LookUp(base_executor.BaseExecutor):
    """Puts out copies of the statistics and the schema that the candidate is held to."""

    def Do(  # noqa: N802  TFX's name
        self,
        input_dict: dict[str, list[Any]],
        output_dict: dict[str, list[Any]],
        exec_properties: dict[str, Any],
    ) -> None:
        self._log_startup(input_dict, output_dict, exec_properties)
        candidate = artifact_utils.get_single_instance(input_dict[CANDIDATE])
        statistics = artifact_utils.get_single_instance(output_dict[STATISTICS])
        schema = artifact_utils.get_single_instance(output_dict[SCHEMA])
        folder = scope_folder(Path(exec_properties[_FOLDER]), exec_properties[_SCOPE])
        found = previous(folder, Path(candidate.uri), candidate.span)
        if found is None:
            mark_absent(statistics)
            mark_absent(schema)
            return
        shutil.copytree(found.statistics, statistics.uri, dirs_exist_ok=True)
        shutil.copytree(found.schema, schema.uri, dirs_exist_ok=True)
        statistics.split_names = found.record.split_names
        statistics.span = found.record.span


class AcceptedData(base_component.BaseComponent):
    """The data that went through the gate before `candidate`, as AcceptedDataStrategy resolves.

    Args:
        candidate: statistics of the data that are looked at.
        folder: where AcceptedRecord keeps its records.
        scope: only data of the same scope count.
    """

    SPEC_CLASS = AcceptedDataSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(LookUp)

    def __init__(self, candidate: channel.BaseChannel, folder: str, scope: str) -> None:
        super().__init__(
            spec=AcceptedDataSpec(
                candidate=candidate,
                folder=folder,
                scope=scope,
                statistics=channel.Channel(type=standard_artifacts.ExampleStatistics),
                schema=channel.Channel(type=standard_artifacts.Schema),
            )
        )


class AcceptedRecordSpec(component_spec.ComponentSpec):
    """Inputs and parameters of AcceptedRecord."""

    PARAMETERS = _PARAMETERS
    INPUTS = {
        STATISTICS: component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
        SCHEMA: component_spec.ChannelParameter(type=standard_artifacts.Schema),
        VERDICT: component_spec.ChannelParameter(type=GateVerdict),
    }
    OUTPUTS: dict[str, Any] = {}


class Keep(base_executor.BaseExecutor):
    """Writes the record."""

    def Do(  # noqa: N802  TFX's name
        self,
        input_dict: dict[str, list[Any]],
        output_dict: dict[str, list[Any]],
        exec_properties: dict[str, Any],
    ) -> None:
        self._log_startup(input_dict, output_dict, exec_properties)
        statistics = artifact_utils.get_single_instance(input_dict[STATISTICS])
        schema = artifact_utils.get_single_instance(input_dict[SCHEMA])
        write_record(
            scope_folder(Path(exec_properties[_FOLDER]), exec_properties[_SCOPE]),
            Path(statistics.uri),
            Path(schema.uri),
            statistics.span,
            statistics.split_names,
        )


class AcceptedRecord(base_component.BaseComponent):
    """Keeps `statistics` and `schema` for the next data; `verdict` says that the gate is passed.

    Args:
        folder, scope: as of AcceptedData.
    """

    SPEC_CLASS = AcceptedRecordSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Keep)

    def __init__(
        self,
        statistics: channel.BaseChannel,
        schema: channel.BaseChannel,
        verdict: channel.BaseChannel,
        folder: str,
        scope: str,
    ) -> None:
        super().__init__(
            spec=AcceptedRecordSpec(
                statistics=statistics, schema=schema, verdict=verdict, folder=folder, scope=scope
            )
        )
