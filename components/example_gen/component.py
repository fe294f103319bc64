"""The ExampleGen component of all the sources that a configuration can name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tfx.components.example_gen.component import QueryBasedExampleGen
from tfx.dsl.components.base import executor_spec
from tfx.proto import example_gen_pb2

from components.example_gen.config import SPLITS, DataConfig
from components.example_gen.executor import Executor


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
        query = json.dumps(
            {
                "data": data.model_dump(mode="json"),
                "fingerprint": fingerprint,
                "code": code,
                "label_values": label_values,
            }
        )
        splits = [
            example_gen_pb2.SplitConfig.Split(name=name, hash_buckets=getattr(data.splits, name))
            for name in SPLITS
        ]
        super().__init__(
            input_config=example_gen_pb2.Input(
                splits=[example_gen_pb2.Input.Split(name="single", pattern=query)]
            ),
            output_config=example_gen_pb2.Output(
                split_config=example_gen_pb2.SplitConfig(splits=splits)
            ),
        )
