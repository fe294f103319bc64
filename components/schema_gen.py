"""TFX's SchemaGen, with the features in one order whatever engine computed the statistics.

Engines merge the statistics of the features in an order of their own, and the schema takes it over:
the same data would give another file, and a review would show moved lines.
"""

from __future__ import annotations

import os
from typing import Any

from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import types
from tfx.components.schema_gen import component, executor
from tfx.dsl.components.base import executor_spec
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils

from components.schema_file.file import schema_text


class SchemaGenExecutor(executor.Executor):
    """TFX's; the schema's features and domains come in the order of their names."""

    def Do(  # noqa: N802  TFX's name
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        super().Do(input_dict, output_dict, exec_properties)
        uri = artifact_utils.get_single_uri(output_dict[standard_component_specs.SCHEMA_KEY])
        path = os.path.join(uri, executor.DEFAULT_FILE_NAME)
        schema = io_utils.parse_pbtxt_file(path, schema_pb2.Schema())
        io_utils.write_string_file(path, schema_text(schema, columns=(), header=()))


class SchemaGen(component.SchemaGen):
    """TFX's, with the features in the order of their names."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(SchemaGenExecutor)
