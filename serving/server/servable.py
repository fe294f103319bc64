"""One version of a model, loaded and ready to answer."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from grpc import StatusCode

from serving.config import BatchingConfig
from serving.server.batching import BatchQueue, BatchRun, BatchScheduler
from serving.server.calls import RunningCalls
from serving.server.errors import ServingError, invalid_argument
from serving.server.tensorflow_errors import as_serving_error
from serving.server.workers import Workers
from serving.signatures import Signature

Arrays = list[np.ndarray]
Run = Callable[[Sequence[np.ndarray]], Arrays]

_FILTERED_CALLS = 64
"""Functions kept for requests that want some outputs only: what they want is up to the client."""


class Model(Protocol):
    """What a servable needs of `serving.session.SavedModelSession`."""

    signatures: dict[str, Any]

    def compiled(self, signature: Signature, outputs: Collection[str] | None = None) -> Run: ...

    def close(self) -> None: ...


class Servable:
    """One version of a model.

    Args:
        model: its SignatureDefs by name become `signatures`.
        workers: run the calls where there is no batching.
        scheduler: with `batching`, runs the batches.
        on_run: told of each call, on the thread that made it.
    """

    def __init__(
        self,
        name: str,
        version: int,
        model: Model,
        workers: Workers,
        batching: BatchingConfig | None = None,
        scheduler: BatchScheduler | None = None,
        on_run: Callable[[str, BatchRun], None] | None = None,
    ) -> None:
        self.name = name
        self.version = version
        self.signatures: Mapping[str, Any] = model.signatures
        self._model = model
        self._workers = workers
        self._batching = batching
        self._scheduler = scheduler
        self._on_run = on_run
        self._calls = RunningCalls()
        self._ready: dict[str, _Ready] = {}
        for signature in self.signatures:
            with contextlib.suppress(Exception):  # whoever asks for it is told why
                self._ready[signature] = self._prepare(signature)
        self._filtered = lru_cache(_FILTERED_CALLS)(self._filtered_call)

    async def run(
        self,
        signature: str,
        inputs: Mapping[str, np.ndarray],
        outputs: Collection[str] | None = None,
    ) -> dict[str, np.ndarray]:
        """Runs a signature.

        Args:
            inputs: exactly the signature's aliases; strings are object arrays of bytes.
            outputs: the aliases that are wanted, all unless given.

        Returns:
            An array an output; strings are object arrays of bytes.

        Raises:
            ServingError: FAILED_PRECONDITION if there is no such signature; INVALID_ARGUMENT if the
                inputs differ from it in names, types or shapes, or an output is unknown;
                UNAVAILABLE if too much is waiting; the code of TensorFlow's error.
        """
        ready = self._prepared(signature)
        arrays = ready.checked(inputs)
        wanted = ready.wanted(outputs)
        if ready.queue is not None:
            answers = await ready.queue.submit(arrays)
            found = dict(zip(ready.outputs, answers, strict=True))
            return found if outputs is None else {alias: found[alias] for alias in wanted}
        call = ready.call
        if len(wanted) < len(ready.outputs):
            call = self._filtered(signature, frozenset(wanted))
        answers = await self._workers.call(self._timed, signature, call, arrays)
        return dict(zip(wanted, answers, strict=True))

    def run_now(
        self,
        signature: str,
        inputs: Mapping[str, np.ndarray],
        outputs: Collection[str] | None = None,
    ) -> dict[str, np.ndarray]:
        """Runs a signature on this thread, in the batch sizes that `run` would use.

        For what is run before requests come: it neither waits nor counts.
        """
        ready = self._prepared(signature)
        arrays = ready.checked(inputs)
        wanted = ready.wanted(outputs)
        run = ready.call if ready.queue is None else ready.queue.run_now
        found = dict(zip(ready.outputs, run(arrays), strict=True))
        return {alias: found[alias] for alias in wanted}

    def drain(self) -> None:
        """Blocks until no call is running; none begins any more."""
        self._calls.drain()

    def close(self) -> None:
        """Frees the model, when its calls have ended."""
        self.drain()
        self._filtered.cache_clear()
        self._ready.clear()
        self._model.close()
        # The servable is part of a cycle; its memory is not to wait for the collector.
        del self._model

    def _prepared(self, name: str) -> _Ready:
        if name in self._ready:
            return self._ready[name]
        if name not in self.signatures:
            raise ServingError(
                StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.'
            )
        try:
            return self._prepare(name)
        except Exception as error:  # such as names of tensors that the graph does not have
            told = as_serving_error(error)
            raise ServingError(told.code, f"signature {name}: {told.message}") from error

    def _prepare(self, name: str) -> _Ready:
        signature = Signature.from_proto(name, self.signatures[name])
        call = self._counted(self._model.compiled(signature))
        queue = None
        if self._batching is not None and self._scheduler is not None:
            on_run = self._on_run
            told = None if on_run is None else lambda run: on_run(name, run)
            queue = BatchQueue(call, self._batching, self._scheduler, told)
        return _Ready(signature, call, queue)

    def _filtered_call(self, name: str, wanted: frozenset[str]) -> Run:
        return self._counted(self._model.compiled(self._ready[name].signature, wanted))

    def _counted(self, run: Run) -> Run:
        """Returns the function, counted, with its errors told by their canonical codes."""
        calls = self._calls

        def call(arrays: Sequence[np.ndarray]) -> Arrays:
            with calls:
                try:
                    return run(arrays)
                except ServingError:
                    raise
                except Exception as error:  # TensorFlow raises ValueError and others as well
                    raise as_serving_error(error) from error

        return call

    def _timed(self, name: str, call: Run, arrays: Arrays) -> Arrays:
        if self._on_run is None:
            return call(arrays)
        started = time.perf_counter()
        answers = call(arrays)
        rows = len(arrays[0]) if arrays and arrays[0].ndim else 1
        self._on_run(name, BatchRun(1, rows, 0, 0.0, time.perf_counter() - started))
        return answers


class _Ready:
    """A signature with what runs it."""

    def __init__(self, signature: Signature, call: Run, queue: BatchQueue | None) -> None:
        self.signature = signature
        self.call = call
        self.queue = queue
        self.outputs = tuple(spec.alias for spec in signature.outputs)

    def checked(self, inputs: Mapping[str, np.ndarray]) -> Arrays:
        """Returns the inputs in the signature's order, if TensorFlow can take them."""
        specs = self.signature.inputs
        if len(inputs) != len(specs) or any(spec.alias not in inputs for spec in specs):
            aliases = {spec.alias for spec in specs}
            raise invalid_argument(
                f"input size does not match signature: {len(inputs)}!={len(specs)}; sent extra: "
                f"{sorted(set(inputs) - aliases)}; missing but required: "
                f"{sorted(aliases - set(inputs))}"
            )
        arrays = []
        for spec in specs:
            array = inputs[spec.alias]
            if array.dtype != spec.dtype:
                raise invalid_argument(
                    f"input {spec.alias}: found type {array.dtype}; expected {spec}"
                )
            if not spec.fits(array.shape):
                raise invalid_argument(
                    f"input {spec.alias}: found shape {list(array.shape)}; expected {spec}"
                )
            arrays.append(array)
        return arrays

    def wanted(self, outputs: Collection[str] | None) -> tuple[str, ...]:
        """Returns the aliases of the outputs to answer with, in the signature's order."""
        if outputs is None:
            return self.outputs
        unknown = [alias for alias in outputs if alias not in self.outputs]
        if unknown:
            raise invalid_argument(
                f"output tensor alias not found in signature: {unknown[0]} Outputs expected to be "
                f"in the set {{{','.join(self.outputs)}}}."
            )
        return tuple(alias for alias in self.outputs if alias in outputs)
