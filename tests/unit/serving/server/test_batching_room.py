"""The room that requests find in the queue, take in parts, and give back when cancelled."""

import asyncio

import pytest
from grpc import StatusCode

from tests.unit.serving.server.batched import NEVER, Doubling, refused, rows, soon

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def test_submit_when_the_queue_is_full_then_is_unavailable_and_others_are_answered(queue_of):
    model = Doubling(is_held=True)
    queue = queue_of(model, max_enqueued_batches=2)
    tasks = [await soon(queue.submit(rows(1, 1, 1, 1)))]
    await model.called()
    tasks += [await soon(queue.submit(rows(2, 2, 2, 2))) for _ in range(2)]
    error = await refused(queue.submit(rows(3)))
    assert error.code is StatusCode.UNAVAILABLE
    assert error.message == (
        "The batch scheduling queue to which this task was submitted is full; currently 2 batches "
        "enqueued and max_enqueued_batches is 2"
    )
    model.gate.set()
    await asyncio.gather(*tasks)
    assert (await queue.submit(rows(3)))[0].tolist() == [6]


async def test_submit_when_the_open_batch_has_room_then_a_full_queue_takes_more(queue_of):
    model = Doubling(is_held=True)
    queue = queue_of(model, max_enqueued_batches=1)
    tasks = [await soon(queue.submit(rows(1)))]
    await model.called()
    tasks += [await soon(queue.submit(rows(2, 2))), await soon(queue.submit(rows(3, 3)))]
    assert (await refused(queue.submit(rows(4)))).code is StatusCode.UNAVAILABLE
    model.gate.set()
    await asyncio.gather(*tasks)
    assert model.sizes == [1, 4]


async def test_submit_when_a_waiting_request_is_cancelled_then_its_place_is_free(queue_of):
    model = Doubling(is_held=True)
    queue = queue_of(model, max_enqueued_batches=1)
    running = await soon(queue.submit(rows(1)))
    await model.called()
    gone = await soon(queue.submit(rows(2, 2, 2, 2)))
    assert (await refused(queue.submit(rows(3)))).code is StatusCode.UNAVAILABLE
    gone.cancel()
    await asyncio.sleep(0)
    waiting = await soon(queue.submit(rows(3)))
    model.gate.set()
    await asyncio.gather(running, waiting)
    assert model.calls == [[[1]], [[3]]]


async def test_submit_when_one_of_a_batch_is_cancelled_then_only_its_rows_are_missing(queue_of):
    model = Doubling()
    queue = queue_of(model, batch_timeout_micros=NEVER)
    first = await soon(queue.submit(rows(1, 1)))
    gone = await soon(queue.submit(rows(2)))
    gone.cancel()
    await asyncio.sleep(0)
    await asyncio.gather(first, queue.submit(rows(3, 3)))
    assert model.calls == [[[1, 1, 3, 3]]]


async def test_submit_when_a_running_request_is_cancelled_then_the_others_are_answered(queue_of):
    model = Doubling(is_held=True)
    queue = queue_of(model)
    gone, stays = (
        asyncio.ensure_future(queue.submit(rows(1))),
        asyncio.ensure_future(queue.submit(rows(2))),
    )
    await model.called()
    gone.cancel()
    await asyncio.sleep(0)
    model.gate.set()
    assert (await stays)[0].tolist() == [4]
    assert gone.cancelled()


async def test_submit_when_splitting_then_a_large_request_runs_in_parts_and_comes_back_whole(
    queue_of,
):
    model = Doubling()
    queue = queue_of(
        model,
        max_batch_size=10,
        enable_large_batch_splitting=True,
        max_execution_batch_size=3,
        max_enqueued_batches=9,
    )
    answer = await queue.submit(rows(*range(8)))
    assert answer[0].tolist() == [value * 2 for value in range(8)]
    assert model.sizes == [3, 3, 2]


async def test_submit_when_splitting_then_the_first_part_fills_the_open_batch(queue_of):
    model = Doubling()
    queue = queue_of(
        model, enable_large_batch_splitting=True, max_execution_batch_size=2, max_batch_size=8
    )
    small, large = await asyncio.gather(queue.submit(rows(1)), queue.submit(rows(2, 3, 4)))
    assert (small[0].tolist(), large[0].tolist()) == ([2], [4, 6, 8])
    assert model.calls == [[[1, 2]], [[3, 4]]]


async def test_submit_when_splitting_and_there_is_no_room_for_all_parts_then_takes_none(queue_of):
    model = Doubling(is_held=True)
    queue = queue_of(
        model,
        max_batch_size=8,
        enable_large_batch_splitting=True,
        max_execution_batch_size=2,
        max_enqueued_batches=2,
    )
    running = await soon(queue.submit(rows(1, 1)))
    await model.called()
    error = await refused(queue.submit(rows(2, 2, 2, 2, 2)))
    assert error.code is StatusCode.UNAVAILABLE
    assert "task size is 5 but scheduling capacity is only 4" in error.message
    model.gate.set()
    await running
    assert model.sizes == [2]


async def test_submit_when_a_part_fails_then_so_does_the_request_and_the_rest_gives_way(queue_of):
    model = Doubling()
    queue = queue_of(
        model, max_batch_size=8, enable_large_batch_splitting=True, max_execution_batch_size=2
    )
    error = await refused(queue.submit(rows(-1, 1, 2, 3)))
    assert error.message == "the model failed"
    assert (await queue.submit(rows(1)))[0].tolist() == [2]


async def test_submit_when_splitting_and_cancelled_then_all_parts_give_way(queue_of):
    model = Doubling(is_held=True)
    queue = queue_of(
        model, max_batch_size=8, enable_large_batch_splitting=True, max_execution_batch_size=2
    )
    running = await soon(queue.submit(rows(1)))
    await model.called()
    gone = await soon(queue.submit(rows(2, 2, 2, 2)))
    gone.cancel()
    await asyncio.sleep(0)
    model.gate.set()
    await running
    assert (await queue.submit(rows(3)))[0].tolist() == [6]
    assert model.calls == [[[1]], [[3]]]
