"""The ExampleGen component of bundled data."""

from __future__ import annotations

import json

from tfx.components.example_gen.component import QueryBasedExampleGen
from tfx.dsl.components.base import executor_spec
from tfx.proto import example_gen_pb2

from components.example_gen.config import SPLITS, DataConfig
from components.example_gen.executor import Executor


class SklearnExampleGen(QueryBasedExampleGen):
    """Emits a data set that scikit-learn bundles, in hashed splits.

    Args:
        data: which data set, and the shares of its splits.
        code: hash of the source that reads it, so that a change of that is a new input.
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(self, data: DataConfig, code: str) -> None:
        query = json.dumps({"dataset": data.dataset, "limit": data.limit, "code": code})
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
