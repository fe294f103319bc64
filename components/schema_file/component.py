"""The component that brings a reviewed schema in: TFX's, told apart by the file's content.

TFX's own knows the path alone: its cache would take an edited file for the one before.
"""

from __future__ import annotations

from pathlib import Path

from tfx.components.schema_gen.import_schema_gen import executor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts
from tfx.types import standard_component_specs as specs

from components.schema_file.file import schema_digest

_DIGEST = "digest"


class SchemaFileSpec(specs.ImportSchemaGenSpec):
    """TFX's specification with one more parameter."""

    PARAMETERS = {
        **specs.ImportSchemaGenSpec.PARAMETERS,
        _DIGEST: component_spec.ExecutionParameter(type=str),
    }


class SchemaFile(base_component.BaseComponent):
    """Puts the schema of a text file out."""

    SPEC_CLASS = SchemaFileSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(self, path: Path) -> None:
        super().__init__(
            spec=SchemaFileSpec(
                schema_file=str(path),
                digest=schema_digest(path),
                schema=channel.Channel(type=standard_artifacts.Schema),
            )
        )
