"""Requests that wait together run together, by TF Serving's rules."""

import asyncio
import time

import numpy as np
import pytest
from grpc import StatusCode

from serving.server.errors import ServingError
from tests.unit.serving.server.batched import NEVER, Doubling, refused, rows, soon

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def test_submit_when_requests_come_together_then_one_call_answers_each_with_its_rows(
    queue_of,
):
    model = Doubling()
    queue = queue_of(model)
    answers = await asyncio.gather(*[queue.submit(rows(value)) for value in (1, 2, 3)])
    assert [answer[0].tolist() for answer in answers] == [[2], [4], [6]]
    assert model.calls == [[[1, 2, 3]]]


async def test_submit_when_a_batch_is_full_then_the_rest_goes_in_the_next(queue_of):
    model = Doubling()
    queue = queue_of(model, max_enqueued_batches=5)
    await asyncio.gather(*[queue.submit(rows(value)) for value in range(6)])
    assert model.sizes == [4, 2]


async def test_submit_when_a_request_does_not_fit_then_is_not_torn_apart(queue_of):
    model = Doubling()
    queue = queue_of(model)
    await asyncio.gather(queue.submit(rows(1, 2, 3)), queue.submit(rows(4, 5)))
    assert model.calls == [[[1, 2, 3]], [[4, 5]]]


async def test_submit_when_the_timeout_is_far_then_only_a_full_batch_runs(queue_of):
    model = Doubling()
    queue = queue_of(model, batch_timeout_micros=NEVER)
    waiting = await soon(queue.submit(rows(1, 2)))
    assert not model.calls
    await queue.submit(rows(3, 4))
    await waiting
    assert model.calls == [[[1, 2, 3, 4]]]


async def test_submit_when_the_timeout_is_far_then_a_batch_that_is_superseded_runs(queue_of):
    model = Doubling()
    queue = queue_of(model, batch_timeout_micros=NEVER)
    first = await soon(queue.submit(rows(1, 2, 3)))
    second = await soon(queue.submit(rows(4, 5)))
    assert (await first)[0].tolist() == [2, 4, 6]
    assert not second.done()
    second.cancel()


async def test_submit_when_the_timeout_has_passed_then_what_is_there_runs(queue_of):
    model = Doubling()
    queue = queue_of(model, batch_timeout_micros=1000)
    assert (await queue.submit(rows(1)))[0].tolist() == [2]
    assert model.sizes == [1]


async def test_submit_when_the_loop_is_late_then_what_came_in_the_timeout_goes_along(queue_of):
    async def on_its_way():
        await asyncio.sleep(0)
        return await queue.submit(rows(2))

    model = Doubling()
    queue = queue_of(model, batch_timeout_micros=1000)
    first = await soon(queue.submit(rows(1)))
    second = asyncio.create_task(on_its_way())
    time.sleep(0.005)
    await asyncio.gather(first, second)
    assert model.calls == [[[1, 2]]]


async def test_submit_when_all_threads_are_busy_then_a_batch_that_is_due_still_grows(queue_of):
    model = Doubling(is_held=True)
    queue = queue_of(model)
    tasks = [await soon(queue.submit(rows(1)))]
    await model.called()
    for value in (2, 3, 4):
        tasks.append(await soon(queue.submit(rows(value))))
        await asyncio.sleep(0)
    model.gate.set()
    await asyncio.gather(*tasks)
    assert model.calls == [[[1]], [[2, 3, 4]]]


async def test_submit_when_there_are_two_threads_then_two_batches_run_at_a_time(queue_of):
    model = Doubling(is_held=True)
    queue = queue_of(model, threads=2)
    tasks = [await soon(queue.submit(rows(1, 1, 1, 1))), await soon(queue.submit(rows(2)))]
    await model.called()
    await model.called()
    model.gate.set()
    await asyncio.gather(*tasks)


async def test_submit_when_two_queues_share_a_thread_then_they_take_turns(queue_of):
    first, second = Doubling(is_held=True), Doubling()
    busy = queue_of(first)
    other = queue_of(second, scheduler=busy._scheduler)
    tasks = [await soon(busy.submit(rows(1, 1, 1, 1))) for _ in range(3)]
    await first.called()
    tasks.append(await soon(other.submit(rows(5))))
    await asyncio.sleep(0)
    order = []
    for name, task in zip(("a", "b", "c", "other"), tasks, strict=True):
        task.add_done_callback(lambda _, name=name: order.append(name))
    first.gate.set()
    await asyncio.gather(*tasks)
    assert order.index("other") < order.index("c")


async def test_submit_when_sizes_are_allowed_then_pads_up_and_leaves_the_padding_out(queue_of):
    model = Doubling()
    queue = queue_of(model, allowed_batch_sizes=[2, 4])
    first, second = await asyncio.gather(queue.submit(rows(1)), queue.submit(rows(7, 8)))
    assert model.calls == [[[1, 7, 8, 7]]]
    assert (first[0].tolist(), second[0].tolist()) == ([2], [14, 16])


async def test_submit_when_a_batch_has_no_rows_then_nothing_is_padded(queue_of):
    model = Doubling()
    queue = queue_of(model, allowed_batch_sizes=[2, 4])
    assert (await queue.submit(rows()))[0].shape == (0,)
    assert model.sizes == [0]


async def test_submit_when_a_request_is_larger_than_a_batch_then_is_an_invalid_argument(queue_of):
    model = Doubling()
    error = await refused(queue_of(model).submit(rows(*range(8))))
    assert error.code is StatusCode.INVALID_ARGUMENT
    assert error.message == "Task size 8 is larger than maximum input batch size 4"
    assert not model.calls


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], "must have at least one input tensor"),
        ([np.float64(1)], "must have at least one dimension"),
        ([np.zeros(2), np.zeros(3)], "must have equal 0th-dimension size"),
    ],
    ids=["none", "a scalar", "other rows"],
)
async def test_submit_when_the_inputs_are_no_batch_then_is_an_invalid_argument(
    queue_of, inputs, message
):
    error = await refused(queue_of(Doubling()).submit(inputs))
    assert error.code is StatusCode.INVALID_ARGUMENT
    assert message in error.message


async def test_submit_when_a_call_fails_then_all_of_its_batch_hear_it_and_the_next_runs(queue_of):
    model = Doubling()
    queue = queue_of(model)
    errors = await asyncio.gather(
        queue.submit(rows(1)), queue.submit(rows(-1)), return_exceptions=True
    )
    assert [str(error) for error in errors] == ["the model failed"] * 2
    assert (await queue.submit(rows(1)))[0].tolist() == [2]


async def test_submit_when_rows_differ_in_shape_then_go_in_batches_of_their_own(queue_of):
    model = Doubling()
    queue = queue_of(model)
    wide, narrow = np.ones((1, 3)), np.ones((1, 2))
    answers = await asyncio.gather(
        *[queue.submit([array]) for array in (wide, narrow, wide, narrow)]
    )
    assert [answer[0].shape for answer in answers] == [(1, 3), (1, 2), (1, 3), (1, 2)]
    assert [np.shape(call[0]) for call in model.calls] == [(2, 3), (2, 2)]


async def test_submit_when_variable_lengths_are_padded_then_share_a_batch(queue_of):
    model = Doubling()
    queue = queue_of(model, pad_variable_length_inputs=True)
    await asyncio.gather(queue.submit([np.ones((1, 3))]), queue.submit([np.full((1, 1), 5.0)]))
    assert model.calls == [[[[1, 1, 1], [5, 5, 5]]]]


async def test_run_now_when_sizes_are_allowed_then_makes_the_calls_that_requests_would(queue_of):
    model = Doubling()
    queue = queue_of(
        model,
        max_batch_size=4,
        allowed_batch_sizes=[2, 4],
        enable_large_batch_splitting=True,
        max_execution_batch_size=2,
    )
    assert queue.run_now(rows(1, 2, 3))[0].tolist() == [2, 4, 6]
    assert model.calls == [[[1, 2]], [[3, 3]]]
    with pytest.raises(ServingError, match="Task size 5 is larger than maximum"):
        queue.run_now(rows(*range(5)))


async def test_on_run_when_a_batch_has_run_then_is_told_of_its_requests_rows_and_padding(queue_of):
    told = []
    queue = queue_of(Doubling(), on_run=told.append, allowed_batch_sizes=[4])
    await asyncio.gather(queue.submit(rows(1)), queue.submit(rows(2, 3)))
    [run] = told
    assert (run.requests, run.rows, run.padding) == (2, 3, 1)
    assert run.queued_seconds >= 0
    assert run.run_seconds >= 0
