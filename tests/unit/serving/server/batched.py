"""A model that batches are run on, and the requests that make them."""

import asyncio
import threading

import numpy as np
import pytest
from grpc import StatusCode

from serving.config import BatchingConfig
from serving.server.errors import ServingError


class Doubling:
    """A model whose calls can be held; keeps what it was called with."""

    def __init__(self, is_held=False):
        self.calls = []
        self.entered = threading.Semaphore(0)
        self.gate = threading.Event()
        if not is_held:
            self.gate.set()

    def __call__(self, inputs):
        self.calls.append([array.tolist() for array in inputs])
        self.entered.release()
        assert self.gate.wait(30)
        if any((array == -1).any() for array in inputs):
            raise ServingError(StatusCode.INTERNAL, "the model failed")
        return [array * 2 for array in inputs]

    async def called(self):
        """Returns when one more call has begun."""
        assert await asyncio.to_thread(self.entered.acquire, True, 30)

    @property
    def sizes(self):
        return [len(call[0]) for call in self.calls]


def batching(**values):
    return BatchingConfig(
        **{"max_batch_size": 4, "batch_timeout_micros": 0, "num_batch_threads": 1} | values
    )


NEVER = 3_600_000_000  # microseconds: only a full batch runs


def rows(*values):
    return [np.array(values, np.float64)]


async def soon(request):
    """Begins a request and lets it reach the queue."""
    task = asyncio.ensure_future(request)
    await asyncio.sleep(0)
    return task


async def refused(request):
    """Returns the error that a request comes to."""
    with pytest.raises(ServingError) as error:
        await request
    return error.value
