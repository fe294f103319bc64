"""Requests that wait together are run as one batch, by the rules of TF Serving's BatchingSession.

    scheduler = BatchScheduler(threads=2)
    queue = BatchQueue(run, BatchingConfig(), scheduler)
    [answer] = await queue.submit([rows])

Everything but the calls themselves happens on the event loop, so nothing here is locked. The
protocol is that of TensorFlow's shared_batch_scheduler.h and of TF Serving's batching_session.cc,
but for one thing: requests whose rows differ in shape go in batches of their own, where TF Serving
fails all that met in one batch.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from grpc import StatusCode

from serving.config import BatchingConfig
from serving.server.batch_arrays import padded_size, split, stacked
from serving.server.errors import ServingError, invalid_argument

_TURNS = 2
"""Turns of the loop that a batch waits for past its time, for what has come in it: a loop that is
late runs its timers before it reads its sockets. Batches of one or two are the price else."""

Arrays = list[np.ndarray]
Run = Callable[[Sequence[np.ndarray]], Arrays]


@dataclass(frozen=True)
class BatchRun:
    """One call of a batch, for whoever counts them.

    Attributes:
        requests: how many were answered by it.
        rows: those of the requests.
        padding: rows added to reach an allowed size.
        queued_seconds: how long the first of them had waited.
    """

    requests: int
    rows: int
    padding: int
    queued_seconds: float
    run_seconds: float


class _Task:
    """Rows of one request, and who waits for their answer."""

    __slots__ = ("batch", "future", "inputs", "rows")

    def __init__(self, inputs: Sequence[np.ndarray], rows: int, future: asyncio.Future) -> None:
        self.inputs = inputs
        self.rows = rows
        self.future = future
        self.batch: _Batch | None = None


class _Batch:
    """Tasks that will run together."""

    __slots__ = ("created", "is_due", "key", "rows", "tasks", "timer")

    def __init__(self, key: Hashable) -> None:
        self.key = key
        self.tasks: list[_Task] = []
        self.rows = 0
        self.is_due = False
        self.timer: asyncio.Handle | None = None
        self.created = time.perf_counter()


class BatchScheduler:
    """The threads that run batches, shared by the queues of all models, each in its turn.

    Made and used on one event loop.
    """

    def __init__(self, threads: int) -> None:
        self.loop = asyncio.get_running_loop()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="batch")
        self._free = threads
        self._ready: deque[BatchQueue] = deque()

    def wake(self, queue: BatchQueue | None = None) -> None:
        """Gives free threads what is due; called when a batch becomes due or a thread free."""
        if queue is not None and queue not in self._ready:
            self._ready.append(queue)
        while self._free and self._ready:
            chosen = self._ready.popleft()
            batch = chosen.take()
            if batch is None:
                continue
            self._ready.append(chosen)
            self._free -= 1
            self._pool.submit(self._execute, chosen, batch)

    def _execute(self, queue: BatchQueue, batch: _Batch) -> None:
        """Runs a batch; on a thread of the pool."""
        answers: list[Arrays] = []
        error: BaseException | None = None
        try:
            answers = queue.execute(batch)
        except BaseException as raised:  # whatever it is, those who wait must hear of it
            error = raised
        try:
            self.loop.call_soon_threadsafe(self._settle, batch, answers, error)
        except RuntimeError:  # the loop is closed: nobody waits any more
            return

    def _settle(self, batch: _Batch, answers: list[Arrays], error: BaseException | None) -> None:
        self._free += 1
        self.wake()
        for index, task in enumerate(batch.tasks):
            if task.future.done():  # its client is gone
                continue
            if error is None:
                task.future.set_result(answers[index])
            else:
                task.future.set_exception(error)

    def close(self) -> None:
        """Ends the threads when what runs has ended."""
        self._pool.shutdown(wait=False)


class BatchQueue:
    """The batches of one signature of one version.

    Args:
        run: from the inputs to the outputs, the batch first in all of them.
        on_run: told of each call, on the thread that made it.
    """

    def __init__(
        self,
        run: Run,
        config: BatchingConfig,
        scheduler: BatchScheduler,
        on_run: Callable[[BatchRun], None] | None = None,
    ) -> None:
        self._run = run
        self._config = config
        self._scheduler = scheduler
        self._on_run = on_run
        self._loop = scheduler.loop
        self._limit = config.execution_batch_size
        self._timeout = config.batch_timeout_micros / 1e6
        self._batches: deque[_Batch] = deque()
        self._open: dict[Hashable, _Batch] = {}

    async def submit(self, inputs: Sequence[np.ndarray]) -> Arrays:
        """Answers a request when the batch that it is part of has run.

        A request that is cancelled while it waits frees its place.

        Raises:
            ServingError: INVALID_ARGUMENT if it is no batch, or one that is too large; UNAVAILABLE
                if the queue is full; what the call raised.
        """
        rows = batch_size(inputs)
        self._check_size(rows)
        if rows <= self._limit:
            task = self._enqueue(inputs, rows)
            try:
                return await task.future
            except asyncio.CancelledError:
                self._discard(task)
                raise
        return await self._submit_parts(inputs, rows)

    def run_now(self, inputs: Sequence[np.ndarray]) -> Arrays:
        """Runs a request on this thread, in calls of the sizes that the queue would make."""
        rows = batch_size(inputs)
        self._check_size(rows)
        answers = []
        for start in range(0, max(rows, 1), self._limit):
            part = [array[start : start + self._limit] for array in inputs]
            answers.extend(self._call([part], [len(part[0])])[0])
        return _joined(answers)

    def take(self) -> _Batch | None:
        """Takes the oldest batch that is due, if there is one."""
        for batch in self._batches:
            if batch.is_due:
                self._batches.remove(batch)
                self._close(batch)
                return batch
        return None

    def execute(self, batch: _Batch) -> list[Arrays]:
        """Runs a batch; returns the outputs of each of its tasks."""
        started = time.perf_counter()
        sizes = [task.rows for task in batch.tasks]
        answers, padding = self._call([task.inputs for task in batch.tasks], sizes)
        if self._on_run is not None:
            seconds = time.perf_counter() - started
            queued = started - batch.created
            self._on_run(BatchRun(len(sizes), batch.rows, padding, queued, seconds))
        return answers

    def _call(
        self, requests: list[Sequence[np.ndarray]], sizes: list[int]
    ) -> tuple[list[Arrays], int]:
        """Returns the outputs of each request, and how many rows of padding it took."""
        config = self._config
        rows = sum(sizes)
        # There is nothing to repeat in a batch without rows.
        size = padded_size(rows, config.allowed_batch_sizes) if rows else 0
        inputs = stacked(requests, size - rows, config.pad_variable_length_inputs)
        return split(self._run(inputs), sizes, size), size - rows

    def _check_size(self, rows: int) -> None:
        if rows > self._config.max_batch_size:
            raise invalid_argument(
                f"Task size {rows} is larger than maximum input batch size "
                f"{self._config.max_batch_size}"
            )

    def _enqueue(self, inputs: Sequence[np.ndarray], rows: int) -> _Task:
        key = self._key(inputs)
        batch = self._open.get(key)
        if batch is None or batch.rows + rows > self._limit:
            if len(self._batches) >= self._config.max_enqueued_batches:
                raise ServingError(
                    StatusCode.UNAVAILABLE,
                    "The batch scheduling queue to which this task was submitted is full; "
                    f"currently {len(self._batches)} batches enqueued and max_enqueued_batches is "
                    f"{self._config.max_enqueued_batches}",
                )
            if batch is not None:
                self._make_due(batch)
            batch = self._started(key)
        task = _Task(inputs, rows, self._loop.create_future())
        task.batch = batch
        batch.tasks.append(task)
        batch.rows += rows
        if batch.rows >= self._limit:
            self._make_due(batch)
        return task

    def _key(self, inputs: Sequence[np.ndarray]) -> Hashable:
        """Returns what requests must share to be rows of one batch."""
        if self._config.pad_variable_length_inputs:
            return tuple([array.ndim for array in inputs])
        return tuple([array.shape[1:] for array in inputs])

    def _started(self, key: Hashable) -> _Batch:
        batch = _Batch(key)
        self._batches.append(batch)
        self._open[key] = batch
        if self._timeout:
            batch.timer = self._loop.call_later(self._timeout, self._end_wait, batch, _TURNS)
        else:
            # Not at once: what else has arrived in this turn of the loop goes along.
            batch.timer = self._loop.call_soon(self._make_due, batch)
        return batch

    def _end_wait(self, batch: _Batch, turns: int) -> None:
        if turns:
            batch.timer = self._loop.call_soon(self._end_wait, batch, turns - 1)
        else:
            self._make_due(batch)

    def _make_due(self, batch: _Batch) -> None:
        if batch.rows >= self._limit or self._open.get(batch.key) is not batch:
            self._close(batch)
        batch.is_due = True
        self._scheduler.wake(self)

    def _close(self, batch: _Batch) -> None:
        """Lets nothing more into a batch."""
        if self._open.get(batch.key) is batch:
            del self._open[batch.key]
        if batch.timer is not None:
            batch.timer.cancel()
            batch.timer = None

    def _discard(self, task: _Task) -> None:
        """Gives back the place of a request that nobody waits for."""
        batch = task.batch
        if batch is None or batch not in self._batches:
            return  # it runs already
        batch.tasks.remove(task)
        batch.rows -= task.rows
        if not batch.tasks:
            self._batches.remove(batch)
            self._close(batch)

    async def _submit_parts(self, inputs: Sequence[np.ndarray], rows: int) -> Arrays:
        """Runs a large request in parts: what the open batch still takes, then whole batches."""
        config = self._config
        batch = self._open.get(self._key(inputs))
        room = self._limit - batch.rows if batch is not None else 0
        capacity = (config.max_enqueued_batches - len(self._batches)) * self._limit + room
        if rows > capacity:
            raise ServingError(
                StatusCode.UNAVAILABLE,
                "The batch scheduling queue to which this task was submitted is full; task size "
                f"is {rows} but scheduling capacity is only {capacity}",
            )
        starts = [0, *range(room or self._limit, rows, self._limit)]
        tasks = []
        for start, end in zip(starts, [*starts[1:], rows], strict=True):
            tasks.append(self._enqueue([array[start:end] for array in inputs], end - start))
        try:
            return _joined([await task.future for task in tasks])
        finally:
            for task in tasks:
                if task.future.done() and not task.future.cancelled():
                    task.future.exception()  # the first failure is told; the others are the same
                else:
                    task.future.cancel()
                    self._discard(task)


def batch_size(inputs: Sequence[np.ndarray]) -> int:
    """Returns the rows that all inputs have.

    Raises:
        ServingError: INVALID_ARGUMENT if there is no such number.
    """
    if not inputs:
        raise invalid_argument("Batching Run() must have at least one input tensor")
    rows = -1
    for array in inputs:
        if array.ndim == 0:
            raise invalid_argument("Batching Run() input tensors must have at least one dimension")
        if rows not in (-1, len(array)):
            raise invalid_argument(
                "Batching Run() input tensors must have equal 0th-dimension size"
            )
        rows = len(array)
    return rows


def _joined(parts: list[Arrays]) -> Arrays:
    if len(parts) == 1:
        return parts[0]
    return [np.concatenate(output) for output in zip(*parts, strict=True)]
