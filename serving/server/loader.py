"""Loads a version from its folder; everything here blocks and runs beside the event loop."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from grpc import StatusCode

from serving.config import BatchingConfig
from serving.server.batching import BatchRun, BatchScheduler
from serving.server.errors import ServingError, invalid_argument
from serving.server.servable import Servable
from serving.server.tensorflow_errors import as_serving_error
from serving.server.warmup import warm_up
from serving.server.workers import Workers


@dataclass(frozen=True)
class LoadOptions:
    """How versions are loaded.

    Attributes:
        batching: None for one call a request.
        per_model_batching: takes the parameters, but for the threads, from the version's folder;
            a version without the file is not batched.
        intra_op_threads: threads of one op; 0 for as many as there are cores.
    """

    batching: BatchingConfig | None = None
    per_model_batching: bool = False
    intra_op_threads: int = 0
    warmup: bool = True


class Loader:
    """Loads versions that share the threads of the server."""

    def __init__(
        self,
        options: LoadOptions,
        workers: Workers,
        scheduler: BatchScheduler | None,
        on_run: Callable[[str, int, str, BatchRun], None] | None = None,
    ) -> None:
        self._options = options
        self._workers = workers
        self._scheduler = scheduler
        self._on_run = on_run

    def load(self, name: str, version: int, folder: Path) -> Servable:
        """Returns the version, warmed up.

        Raises:
            ServingError: if it cannot be loaded, or fails a request that it was saved with.
        """
        try:
            batching = self._batching(folder)
            # TensorFlow's own heap is left out of every later collection: it is large and stays.
            _freeze_once()
            servable = self._loaded(name, version, folder, batching)
            if self._options.warmup:
                _warm_up(servable, folder)
        except ServingError:
            raise
        except Exception as error:  # a model can hold anything, and must not take others down
            raise as_serving_error(error) from error
        gc.collect()
        return servable

    def drain(self, servable: Servable) -> None:
        """Blocks until no call of a version runs; those given up by their clients run on."""
        servable.drain()

    def unload(self, servable: Servable) -> None:
        """Frees a version that nobody uses any more."""
        servable.close()
        gc.collect()

    def _loaded(
        self, name: str, version: int, folder: Path, batching: BatchingConfig | None
    ) -> Servable:
        from serving.session import InvalidModel, SavedModelSession

        try:
            model = SavedModelSession(folder, self._options.intra_op_threads)
        except InvalidModel as error:
            raise _load_error(error) from error
        told = self._on_run
        return Servable(
            name,
            version,
            model,
            self._workers,
            batching,
            self._scheduler,
            None if told is None else lambda signature, run: told(name, version, signature, run),
        )

    def _batching(self, folder: Path) -> BatchingConfig | None:
        """Returns the parameters of a version.

        Raises:
            ServingError: INVALID_ARGUMENT if its own break a rule.
        """
        options = self._options
        if options.batching is None or not options.per_model_batching:
            return options.batching
        from google.protobuf.text_format import ParseError
        from pydantic import ValidationError

        from serving.text_configs import VERSION_BATCHING_FILE, parse_batching

        path = folder / VERSION_BATCHING_FILE
        if not path.exists():
            return None
        try:
            return parse_batching(path.read_text())
        except (ParseError, ValidationError, UnicodeDecodeError) as error:
            raise invalid_argument(f"{path}: {error}") from error


def _warm_up(servable: Servable, folder: Path) -> None:
    try:
        warm_up(servable, folder)
    except BaseException:
        servable.close()
        raise


_is_frozen = False


def _freeze_once() -> None:
    """Takes what is imported out of the garbage collector's sight, once in a process.

    Nested lists of JSON set off collections; over all of TensorFlow's objects these cost more than
    the request. Models come after, so that those unloaded can still be collected.
    """
    global _is_frozen
    if _is_frozen:
        return
    import tensorflow as tf

    with tf.Graph().as_default():
        tf.constant(0)  # imports what TensorFlow leaves for its first use
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    _is_frozen = True


def _load_error(error: Exception) -> ServingError:
    cause = error.__cause__
    if isinstance(cause, (OSError, RuntimeError)):  # no such file, or none with the tag
        return ServingError(StatusCode.NOT_FOUND, str(error))
    told = as_serving_error(cause or error)
    return ServingError(told.code, str(error))
