"""What a server's models are managed with, and what it tells of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from serving.config import BatchingConfig
from serving.server.batching import BatchRun
from serving.server.errors import ServingError
from serving.server.policy import State


@dataclass(frozen=True)
class ManagerOptions:
    """The options of tensorflow_model_server that concern models, with its defaults.

    Attributes:
        file_system_poll_wait_seconds: 0 looks for versions once.
        max_num_load_retries: attempts after the first that failed.
        batching: None for one call a request.
        per_model_batching: takes the batching parameters, but for the threads, from the version's
            folder; a version without the file is not batched.
        allow_version_labels_for_unavailable_models: a new label may stand on a version that cannot
            answer yet.
        force_allow_any_version_labels_for_unavailable_models: one that moves may as well.
        servable_versions_always_present: the last versions are served on when all their folders
            are gone.
        model_config_file: where the configuration was read from.
        model_config_file_poll_wait_seconds: 0 never reads it again.
        tensorflow_intra_op_parallelism: threads of one op; 0 for as many as there are cores.
        call_threads: calls at a time without batching; 0 for as many as there are cores.
        max_in_flight: calls that run or wait without batching; more are UNAVAILABLE.
    """

    file_system_poll_wait_seconds: float = 1.0
    max_num_load_retries: int = 5
    load_retry_interval_micros: int = 60_000_000
    batching: BatchingConfig | None = None
    per_model_batching: bool = False
    allow_version_labels_for_unavailable_models: bool = False
    force_allow_any_version_labels_for_unavailable_models: bool = False
    servable_versions_always_present: bool = False
    model_config_file: Path | None = None
    model_config_file_poll_wait_seconds: float = 0.0
    warmup: bool = True
    tensorflow_intra_op_parallelism: int = 0
    call_threads: int = 0
    max_in_flight: int = 256


@dataclass(frozen=True)
class VersionChanged:
    """A version came to a new state.

    Attributes:
        seconds: what loading took, when it is AVAILABLE.
        error: why it failed, when it is END.
    """

    model: str
    version: int
    state: State
    seconds: float = 0.0
    error: ServingError | None = None


@dataclass(frozen=True)
class CallMade:
    """TensorFlow was called; told on the thread that called it."""

    model: str
    version: int
    signature: str
    run: BatchRun


Event = VersionChanged | CallMade
Observer = Callable[[Event], None]
