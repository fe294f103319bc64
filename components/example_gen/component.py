"""The ExampleGen component of all the sources that a configuration can name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.orchestration.data_types import RuntimeParameter
from tfx.proto import example_gen_pb2
from tfx.types import channel, component_spec, standard_artifacts
from tfx.types import standard_component_specs as specs

from components.example_gen.config import BigQueryConfig, DataConfig
from components.example_gen.driver import SourceDriver, TablesDriver
from components.example_gen.executor import ROWS, Executor
from components.example_gen.query import AS_CONFIGURED, SPAN_WANTED, make_query

SPAN_PARAMETER = "span"
"""Runtime parameter: the number or date of the last span that is read."""


class SourceSpec(component_spec.ComponentSpec):
    """Parameters of SourceExampleGen."""

    PARAMETERS = {
        specs.INPUT_CONFIG_KEY: component_spec.ExecutionParameter(type=example_gen_pb2.Input),
        SPAN_WANTED: component_spec.ExecutionParameter(type=str),
    }
    INPUTS: dict[str, Any] = {}
    OUTPUTS = {
        specs.EXAMPLES_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples)
    }


class SourceExampleGen(base_beam_component.BaseBeamComponent):
    """Emits the rows of a source in splits: the source's own, and hashed ones.

    Which span is read, and what the data are by then, is found out when the node runs: one
    compiled pipeline serves every span.

    Args:
        data: which source, and the shares of its splits.
        code: hash of the source code that reads them, so that a change of it is a new input.
        label_values: what the label may be; None for anything.
    """

    SPEC_CLASS = SourceSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)
    DRIVER_CLASS = SourceDriver

    def __init__(
        self, data: DataConfig, code: str, label_values: Sequence[Any] | None = None
    ) -> None:
        super().__init__(
            SourceSpec(
                **{SPAN_WANTED: RuntimeParameter(SPAN_PARAMETER, str, default=AS_CONFIGURED)},
                input_config=make_query(data, code, label_values),
                examples=channel.Channel(type=standard_artifacts.Examples),
            )
        )


class WrittenRowsSpec(component_spec.ComponentSpec):
    """Inputs and parameters of WrittenExampleGen."""

    PARAMETERS = {
        specs.INPUT_CONFIG_KEY: component_spec.ExecutionParameter(type=example_gen_pb2.Input)
    }
    INPUTS = {ROWS: component_spec.ChannelParameter(type=standard_artifacts.Examples)}
    OUTPUTS = {
        specs.EXAMPLES_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples)
    }


class WrittenExampleGen(base_beam_component.BaseBeamComponent):
    """Emits rows that another node has read, in splits, as SourceExampleGen does.

    Args:
        rows: Examples of the one split `rows`.
        data, code, label_values: as of SourceExampleGen.
    """

    SPEC_CLASS = WrittenRowsSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        rows: channel.BaseChannel,
        data: BigQueryConfig,
        code: str,
        label_values: Sequence[Any] | None = None,
    ) -> None:
        super().__init__(
            WrittenRowsSpec(
                rows=rows,
                input_config=make_query(data, code, label_values),
                examples=channel.Channel(type=standard_artifacts.Examples),
            )
        )


def big_query_rows(data: BigQueryConfig) -> base_beam_component.BaseBeamComponent:
    """Returns TFX's component that reads the rows of a query into the one split `rows`.

    TFX's cache knows the query alone, by which their rows change unseen: a driver adds what the
    tables are by then to the name of the input split, which nothing else goes by.
    """
    from tfx.extensions.google_cloud_big_query.example_gen.component import BigQueryExampleGen

    split = example_gen_pb2.SplitConfig.Split(name=ROWS, hash_buckets=1)
    node = BigQueryExampleGen(
        input_config=example_gen_pb2.Input(
            splits=[example_gen_pb2.Input.Split(name=data.project, pattern=data.query)]
        ),
        output_config=example_gen_pb2.Output(
            split_config=example_gen_pb2.SplitConfig(splits=[split])
        ),
    )
    node.driver_class = TablesDriver
    return node.with_beam_pipeline_args(
        [f"--project={data.project}", f"--temp_location={data.temp_location}"]
    )
