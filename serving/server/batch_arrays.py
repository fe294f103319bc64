"""Arrays of several requests made into one batch, and the answer taken apart again.

By the rules of TF Serving's batching_session.cc and batching_util.cc.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from grpc import StatusCode

from serving.server.errors import ServingError, invalid_argument


def padded_size(rows: int, allowed: Sequence[int]) -> int:
    """Returns the smallest allowed batch size that holds `rows`; `rows` if none is set."""
    return next((size for size in allowed if size >= rows), rows)


def stacked(
    requests: Sequence[Sequence[np.ndarray]], padding: int, pad_variable_length: bool
) -> list[np.ndarray]:
    """Returns the inputs of the requests one below another, and `padding` rows more.

    The rows that are added repeat one of a request: whatever the model wants, it is a valid one.

    Args:
        requests: the inputs of each, equal in shape but for the rows.
        pad_variable_length: whether shapes may differ; each is padded with its own first value.

    Raises:
        ServingError: INVALID_ARGUMENT if there is no value to pad with.
    """
    inputs = []
    for parts in zip(*requests, strict=True):
        arrays = _same_shape(parts) if pad_variable_length else list(parts)
        if padding:
            filled = next((array for array in reversed(arrays) if len(array)), None)
            if filled is not None:
                arrays.append(np.repeat(filled[:1], padding, axis=0))
        inputs.append(arrays[0] if len(arrays) == 1 else np.concatenate(arrays))
    return inputs


def split(
    outputs: Sequence[np.ndarray], sizes: Sequence[int], batch_rows: int
) -> list[list[np.ndarray]]:
    """Returns the rows of each request, as views; padding at the end is left out.

    Args:
        sizes: rows of each request.
        batch_rows: rows of the batch, its padding among them.

    Raises:
        ServingError: FAILED_PRECONDITION if an output is no batch of that size.
    """
    for output in outputs:
        if output.ndim == 0:
            raise ServingError(
                StatusCode.FAILED_PRECONDITION, "Batched output tensor has 0 dimensions"
            )
        if len(output) != batch_rows:
            raise ServingError(
                StatusCode.FAILED_PRECONDITION,
                "Batched output tensor's 0th dimension does not equal the sum of the 0th "
                "dimension sizes of the input tensors",
            )
    answers = []
    start = 0
    for size in sizes:
        answers.append([output[start : start + size] for output in outputs])
        start += size
    return answers


def _same_shape(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Returns the arrays grown, but for their rows, to the largest of each dimension."""
    sizes = np.max([array.shape[1:] for array in arrays], axis=0).astype(int).tolist()
    grown = []
    for array in arrays:
        if list(array.shape[1:]) == sizes:
            grown.append(array)
            continue
        if not array.size:
            raise invalid_argument("Got empty tensor: there is no value to pad it with")
        larger = np.full((len(array), *sizes), array.flat[0], array.dtype)
        larger[tuple(slice(size) for size in array.shape)] = array
        grown.append(larger)
    return grown
