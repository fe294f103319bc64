"""The ExampleGen component of all the sources that a configuration can name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tfx.components.example_gen.component import QueryBasedExampleGen
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.proto import example_gen_pb2
from tfx.types import channel, component_spec, standard_artifacts
from tfx.types import standard_component_specs as specs

from components.example_gen.config import SPLITS, BigQueryConfig, DataConfig
from components.example_gen.executor import ROWS, Executor


class SourceExampleGen(QueryBasedExampleGen):
    """Emits the rows of a source in splits: the source's own, and hashed ones.

    Args:
        data: which source, and the shares of its splits.
        fingerprint: of the data, so that a change of them is a new input.
        code: hash of the source code that reads them, for the same reason.
        label_values: what the label may be; None for anything.
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        data: DataConfig,
        fingerprint: str,
        code: str,
        label_values: Sequence[Any] | None = None,
    ) -> None:
        splits = [
            example_gen_pb2.SplitConfig.Split(name=name, hash_buckets=getattr(data.splits, name))
            for name in SPLITS
        ]
        super().__init__(
            input_config=_input(data, fingerprint, code, label_values),
            output_config=example_gen_pb2.Output(
                split_config=example_gen_pb2.SplitConfig(splits=splits)
            ),
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
                # What the rows are is said by the artifact: no fingerprint.
                input_config=_input(data, "", code, label_values),
                examples=channel.Channel(type=standard_artifacts.Examples),
            )
        )


def big_query_rows(data: BigQueryConfig, fingerprint: str) -> base_beam_component.BaseBeamComponent:
    """Returns TFX's component that reads the rows of a query into the one split `rows`.

    Args:
        fingerprint: of the tables. TFX's cache knows the query alone, by which their rows change
            unseen; it stands as the name of the input split, which nothing else goes by.
    """
    from tfx.extensions.google_cloud_big_query.example_gen.component import BigQueryExampleGen

    split = example_gen_pb2.SplitConfig.Split(name=ROWS, hash_buckets=1)
    return BigQueryExampleGen(
        input_config=example_gen_pb2.Input(
            splits=[example_gen_pb2.Input.Split(name=f"tables-{fingerprint}", pattern=data.query)]
        ),
        output_config=example_gen_pb2.Output(
            split_config=example_gen_pb2.SplitConfig(splits=[split])
        ),
    ).with_beam_pipeline_args(
        [f"--project={data.project}", f"--temp_location={data.temp_location}"]
    )


def _input(
    data: DataConfig, fingerprint: str, code: str, label_values: Sequence[Any] | None
) -> example_gen_pb2.Input:
    query = json.dumps(
        {
            "data": data.model_dump(mode="json"),
            "fingerprint": fingerprint,
            "code": code,
            "label_values": label_values,
        }
    )
    return example_gen_pb2.Input(splits=[example_gen_pb2.Input.Split(name="single", pattern=query)])
