"""Calls run beside the event loop, a bounded number of them."""

import asyncio
import gc
import threading
import weakref

import numpy as np
import pytest
from grpc import StatusCode

from serving.server.errors import ServingError
from serving.server.workers import Workers

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def workers():
    workers = Workers(threads=1, limit=2)
    yield workers
    workers.close()


class Held:
    """A call that waits until it is let go."""

    def __init__(self):
        self.began = threading.Event()
        self.gate = threading.Event()

    def __call__(self):
        self.began.set()
        assert self.gate.wait(30)
        return threading.current_thread().name

    async def begin(self, workers):
        call = asyncio.ensure_future(workers.call(self))
        assert await asyncio.to_thread(self.began.wait, 30)
        return call


async def test_call_when_made_then_runs_on_another_thread_with_its_arguments(workers):
    assert await workers.call(lambda a, b: a - b, 5, 3) == 2
    name = await workers.call(lambda: threading.current_thread().name)
    assert name != threading.current_thread().name


async def test_call_when_the_function_raises_then_so_does_the_call(workers):
    with pytest.raises(ZeroDivisionError):
        await workers.call(lambda: 1 / 0)
    assert await workers.call(int) == 0


async def test_call_when_the_limit_is_reached_then_is_unavailable_until_one_is_done(workers):
    held = Held()
    running = await held.begin(workers)
    waiting = asyncio.ensure_future(workers.call(int))
    await asyncio.sleep(0)
    with pytest.raises(ServingError) as error:
        await workers.call(int)
    assert error.value.code is StatusCode.UNAVAILABLE
    held.gate.set()
    await asyncio.gather(running, waiting)
    assert await workers.call(int) == 0


async def test_call_when_cancelled_before_it_starts_then_never_runs_and_frees_its_place(workers):
    held = Held()
    running = await held.begin(workers)
    ran = []
    gone = asyncio.ensure_future(workers.call(ran.append, 1))
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    await asyncio.sleep(0)
    waiting = asyncio.ensure_future(workers.call(ran.append, 2))
    held.gate.set()
    await asyncio.gather(running, waiting)
    assert ran == [2]


async def test_call_when_many_are_sent_and_cancelled_then_nothing_of_them_is_kept(workers):
    held = Held()
    running = await held.begin(workers)
    arguments = []
    for _ in range(10):
        argument = np.zeros(1000)
        arguments.append(weakref.ref(argument))
        gone = asyncio.ensure_future(workers.call(np.sum, argument))
        del argument
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait([gone])
        assert gone.cancelled()
        del gone
    gc.collect()
    assert all(argument() is None for argument in arguments)
    held.gate.set()
    await running


async def test_close_when_a_call_waits_then_it_is_given_up(workers):
    held = Held()
    running = await held.begin(workers)
    waiting = asyncio.ensure_future(workers.call(int))
    await asyncio.sleep(0)
    workers.close()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, 30)
    held.gate.set()
    await running


async def test_call_when_cancelled_while_it_runs_then_holds_its_place_until_it_ends(workers):
    held = Held()
    gone = await held.begin(workers)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    waiting = asyncio.ensure_future(workers.call(int))
    await asyncio.sleep(0)
    with pytest.raises(ServingError):
        await workers.call(int)
    held.gate.set()
    assert await waiting == 0
