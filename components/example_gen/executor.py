"""Turns a source's rows into tf.Examples in splits, on Beam; TFX's own code writes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from pydantic import TypeAdapter
from tfx.components.example_gen import base_example_gen_executor
from tfx.proto import example_gen_pb2
from tfx.types import standard_component_specs
from tfx.utils import proto_utils

from components.example_gen.config import SPLITS, DataConfig
from components.example_gen.examples import examples
from components.example_gen.sources import make_source


def _read(query: str) -> Iterator[tuple[str, bytes]]:
    data: DataConfig = TypeAdapter(DataConfig).validate_python(json.loads(query)["data"])
    yield from examples(make_source(data), data.splits)


@beam.ptransform_fn
@beam.typehints.with_input_types(beam.Pipeline)
@beam.typehints.with_output_types(tuple[str, bytes])
def _examples(
    pipeline: beam.Pipeline, _exec_properties: dict[str, Any], query: str
) -> beam.PCollection:
    return pipeline | beam.Create([query], reshuffle=False) | beam.FlatMap(_read)


class Executor(base_example_gen_executor.BaseExampleGenExecutor):
    """Reads what the query, a JSON object with a `data` section of the configuration, names."""

    def GetInputSourceToExamplePTransform(self) -> beam.PTransform:  # noqa: N802  TFX's name
        """Returns what reads splits and serialized examples."""
        return _examples

    def GenerateExamplesByBeam(  # noqa: N802  TFX's name
        self, pipeline: beam.Pipeline, exec_properties: dict[str, Any]
    ) -> dict[str, beam.PCollection]:
        """Returns the serialized examples of each split.

        TFX's own would split all rows alike by their hash; a source may bring splits of its own.
        """
        inputs = example_gen_pb2.Input()
        proto_utils.json_to_proto(
            exec_properties[standard_component_specs.INPUT_CONFIG_KEY], inputs
        )
        read = self.GetInputSourceToExamplePTransform()
        parts = (
            pipeline
            | "Read" >> read(exec_properties, inputs.splits[0].pattern)
            | "Split" >> beam.Partition(lambda row, _: SPLITS.index(row[0]), len(SPLITS))
        )
        return {
            split: part | f"Content[{split}]" >> beam.Values()
            for split, part in zip(SPLITS, parts, strict=True)
        }
