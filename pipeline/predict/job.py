"""Reads, asks and answers: several batches on their way at once, the answers in the rows' order."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from pipeline.config_file import ConfigError, Problem
from pipeline.predict.arrays import to_arrays
from pipeline.predict.models import Model, Refused
from pipeline.predict.rows import Row, Rows

Answer = dict[str, Any]
"""By output, a value or nested lists of them."""


def answer(
    rows: Rows, model: Model, signature: str, batch_size: int, in_flight: int
) -> Iterator[list[Answer]]:
    """Yields the answers to each batch, as soon as those before it are out.

    Holds no more batches than are on their way, whatever the number of rows. The answers to what
    comes before a row that is refused are yielded first.

    Args:
        in_flight: batches that the model has at a time.

    Raises:
        ConfigError: if a row does not fit, or the model has no such signature.
        ServingClientError: if a server does not answer.
    """
    signatures = model.signatures()
    if signature not in signatures:
        allowed = ", ".join(signatures) or "a model with signatures"
        raise ConfigError(Problem(model.where, "--signature", repr(signature), allowed))
    spec = signatures[signature]
    unbatched = [name for name, tensor in spec.inputs.items() if tensor.shape == ()]
    if unbatched:
        found = f"inputs of one value, {', '.join(unbatched)}"
        raise ConfigError(
            Problem(model.where, f"--signature {signature}", found, "inputs with a row each")
        )

    def ask(batch: Sequence[Row]) -> list[Answer]:
        try:
            return _answers(batch, model.run(signature, to_arrays(batch, spec)))
        except Refused as refused:
            span = "..".join(dict.fromkeys((batch[0].position, batch[-1].position))) or "rows"
            found, _, allowed = str(refused).partition("; allowed: ")
            allowed = allowed or f"what {model.where} takes; a smaller --batch if they are too many"
            raise ConfigError(Problem(batch[0].source, span, found, allowed)) from refused

    yield from _in_order(rows.read(spec), ask, batch_size, in_flight)


def _in_order(rows: Iterator[Row], ask: Any, batch_size: int, in_flight: int) -> Iterator[Any]:
    pending: deque[Future[Any]] = deque()
    pool = ThreadPoolExecutor(in_flight)
    try:
        unreadable: ConfigError | None = None
        while unreadable is None:
            batch: list[Row] = []
            try:
                for row in itertools.islice(rows, batch_size):
                    batch.append(row)
            except ConfigError as error:
                unreadable = error
            if batch:
                pending.append(pool.submit(ask, batch))
            elif unreadable is None:
                break
            if len(pending) > in_flight:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
        if unreadable is not None:
            raise unreadable
    finally:
        pool.shutdown(cancel_futures=True)


def _answers(batch: Sequence[Row], outputs: Mapping[str, np.ndarray]) -> list[Answer]:
    for name, value in outputs.items():
        if value.ndim == 0 or len(value) != len(batch):
            raise Refused(
                f"an output {name} of shape {list(value.shape)}; "
                f"allowed: a row for each of the {len(batch)} asked about"
            )
    columns = {name: value.tolist() for name, value in outputs.items()}
    return [
        {**row.shown, **{name: values[index] for name, values in columns.items()}}
        for index, row in enumerate(batch)
    ]
