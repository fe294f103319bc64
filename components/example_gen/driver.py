"""What ExampleGen finds out when a run comes to it: which span there is, and what the data are.

TFX's cache looks at a node's parameters after its driver: data that have changed are other inputs,
though the compiled pipeline is the same.
"""

from __future__ import annotations

import copy
from typing import Any

from tfx.components.example_gen import driver, utils
from tfx.proto import example_gen_pb2
from tfx.proto.orchestration import driver_output_pb2
from tfx.types import standard_component_specs as specs
from tfx.utils import proto_utils

from components.driver import Driver
from components.example_gen.query import AS_CONFIGURED, SPAN_WANTED, read_query


class SourceDriver(Driver):
    """Puts the span and the fingerprint of the data into the parameters and onto the output."""

    def run(self, execution_info: Any) -> driver_output_pb2.DriverOutput:
        """Returns the parameters and the output with what was found.

        Raises:
            DataError: if the data, or the span that is wanted, are not there.
        """
        query = read_query(execution_info.exec_properties).resolved()
        result = driver_output_pb2.DriverOutput()
        properties = result.exec_properties
        properties[specs.INPUT_CONFIG_KEY].string_value = proto_utils.proto_to_json(
            query.to_proto()
        )
        properties[SPAN_WANTED].string_value = AS_CONFIGURED
        (examples,) = execution_info.output_dict[specs.EXAMPLES_KEY]
        artifact = copy.deepcopy(examples.mlmd_artifact)
        custom = artifact.custom_properties
        custom[utils.SPAN_PROPERTY_NAME].int_value = query.source().span()
        custom[utils.FINGERPRINT_PROPERTY_NAME].string_value = query.fingerprint
        result.output_artifacts[specs.EXAMPLES_KEY].artifacts.append(artifact)
        return result


class TablesDriver(driver.QueryBasedDriver):
    """Puts the fingerprint of a BigQuery query's tables into the name of the input split.

    The split comes with the name of the project that the query runs in.
    """

    def resolve_exec_properties(
        self, exec_properties: dict[str, Any], pipeline_info: Any, component_info: Any
    ) -> dict[str, Any]:
        from components.example_gen.big_query import tables_fingerprint

        inputs = example_gen_pb2.Input()
        proto_utils.json_to_proto(exec_properties[specs.INPUT_CONFIG_KEY], inputs)
        (split,) = inputs.splits
        split.name = f"tables-{tables_fingerprint(split.name, split.pattern)}"
        exec_properties[specs.INPUT_CONFIG_KEY] = proto_utils.proto_to_json(inputs)
        found: dict[str, Any] = super().resolve_exec_properties(
            exec_properties, pipeline_info, component_info
        )
        return found
