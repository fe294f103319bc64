"""TFX's StatisticsGen, Transform and Evaluator, with batches that follow from the data.

TFX leaves the batches to Beam, which begins with single rows, times them, and grows to a thousand
rows whatever these weigh: slow on few rows, heavy on large ones, and never twice the same. Here a
batch has so many rows as weigh a MiB, from the first one on.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from tfx import types
from tfx.components.evaluator import component as evaluator
from tfx.components.evaluator import executor as evaluator_executor
from tfx.components.statistics_gen import component as statistics_gen
from tfx.components.statistics_gen import executor as statistics_gen_executor
from tfx.components.transform import component as transform
from tfx.components.transform import executor as transform_executor
from tfx.dsl.components.base import base_beam_executor, executor_spec
from tfx.types import artifact_utils, standard_component_specs
from tfx_bsl.coders import batch_util

from components.example_gen.intake import read_intake

BATCH_BYTES = 2**20
"""What the rows of a batch weigh together, as tf.Examples. Batches four times as large are no
faster, and engines with workers hold a hundred of them on the way."""

MOST_ROWS = 4096
"""More of them save nothing: the cost of a batch is spread over enough rows."""

_lock = threading.Lock()
"""Nodes may run in threads of one process, and share the module that is changed here."""


def batch_rows(examples_uri: str) -> int | None:
    """Returns how many rows of these examples make a batch; None where nothing tells their size.

    Raises:
        tf.errors.OpError: if the account beside the examples cannot be read.
    """
    intake = read_intake(examples_uri)
    rows = sum(intake.splits.values()) if intake else 0
    if intake is None or not rows or not intake.bytes:
        return None
    return max(1, min(MOST_ROWS, BATCH_BYTES * rows // intake.bytes))


@contextlib.contextmanager
def batches_of(rows: int | None) -> Iterator[None]:
    """Makes the pipelines that are built meanwhile read so many rows at a time; None: as TFX does.

    Neither StatisticsGen nor Evaluator has an option for it.
    """
    if rows is None:
        yield
        return
    of_size: Callable[..., dict[str, Any]] = batch_util.GetBatchElementsKwargs

    def fixed(batch_size: int | None, *arguments: Any, **options: Any) -> dict[str, Any]:
        return of_size(batch_size or rows, *arguments, **options)

    with _lock:
        batch_util.GetBatchElementsKwargs = fixed
        try:
            yield
        finally:
            batch_util.GetBatchElementsKwargs = of_size


class _Batched(base_beam_executor.BaseBeamExecutor):
    """Runs a TFX executor on its `examples` in batches of their size."""

    def Do(  # noqa: N802  TFX's name
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        examples = artifact_utils.get_single_instance(
            input_dict[standard_component_specs.EXAMPLES_KEY]
        )
        with batches_of(batch_rows(examples.uri)):
            super().Do(input_dict, output_dict, exec_properties)


class StatisticsGenExecutor(_Batched, statistics_gen_executor.Executor):
    """TFX's, in batches of the rows' size."""


class TransformExecutor(_Batched, transform_executor.Executor):
    """TFX's, in batches of the rows' size."""


class EvaluatorExecutor(_Batched, evaluator_executor.Executor):
    """TFX's, in batches of the rows' size."""


class StatisticsGen(statistics_gen.StatisticsGen):
    """TFX's, in batches of the rows' size."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(StatisticsGenExecutor)


class Transform(transform.Transform):
    """TFX's, in batches of the rows' size."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(TransformExecutor)


class Evaluator(evaluator.Evaluator):
    """TFX's, in batches of the rows' size."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(EvaluatorExecutor)
