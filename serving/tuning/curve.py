"""Measures what a call of each batch size costs, in the session that a server would run it in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from time import perf_counter

import numpy as np

from serving.load.record import percentile
from serving.tuning.candidates import BatchCost

LARGEST = 1024
"""Rows; larger batches gain nothing on hardware that needs batches at all."""

_UNTIMED_CALLS = 5
_MOST_CALLS = 2000


def batch_sizes(largest: int = LARGEST) -> list[int]:
    """Returns the powers of two up to `largest`."""
    powers = (2**power for power in range(largest.bit_length()))
    return list(takewhile(lambda size: size <= largest, powers))


def measure_curve(
    version: Path,
    signature: str,
    inputs: Mapping[str, np.ndarray],
    sizes: Sequence[int],
    seconds: float = 0.5,
    calls: int = 100,
) -> list[BatchCost]:
    """Times one signature of a SavedModel at each batch size, one call after the other.

    Args:
        version: folder of the SavedModel.
        inputs: real rows, one array an input, which are repeated to fill a batch.
        sizes: increasing.
        seconds: to spend on each size, more if that is fewer than `calls`.

    Raises:
        serving.session.InvalidModel: if the model does not load.
        serving.signatures.InvalidRequest: if it has no such signature, or the inputs are not its.
    """
    from serving.session import SavedModelSession
    from serving.signatures import Signature

    session = SavedModelSession(version)
    try:
        definition = Signature.from_proto(signature, session.signature(signature))
        session.run(signature, inputs)  # checks what `compiled` does not
        call = session.compiled(definition)
        arrays = [inputs[spec.alias] for spec in definition.inputs]
        return [_cost(call, _batch(arrays, size), size, seconds, calls) for size in sizes]
    finally:
        session.close()


def _batch(arrays: Sequence[np.ndarray], size: int) -> list[np.ndarray]:
    rows = np.arange(size)
    return [array[rows % len(array)] for array in arrays]


def _cost(
    call: Callable[[Sequence[np.ndarray]], list[np.ndarray]],
    batch: list[np.ndarray],
    size: int,
    seconds: float,
    calls: int,
) -> BatchCost:
    for _ in range(_UNTIMED_CALLS):
        call(batch)
    found: list[float] = []
    end = perf_counter() + seconds
    while len(found) < calls or (perf_counter() < end and len(found) < _MOST_CALLS):
        began = perf_counter()
        call(batch)
        found.append(perf_counter() - began)
    found.sort()
    return BatchCost(size, percentile(found, 50) * 1e3, percentile(found, 99) * 1e3)
