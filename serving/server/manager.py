"""Which models and versions a server has: loads, unloads, labels, leases, and follows the files.

    manager = ModelManager(config, ManagerOptions())
    await manager.start()
    with manager.lease(Wanted("digits")) as servable:
        answers = await servable.run("serving_default", inputs)

Lives on one event loop; loading runs beside it, one version at a time. TF Serving's semantics:
server_core.cc, aspired_versions_manager.cc, basic_manager.cc.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grpc import StatusCode

from serving.config import BatchingConfig
from serving.server.batching import BatchRun, BatchScheduler
from serving.server.errors import ServingError, invalid_argument, not_found
from serving.server.loader import Loader, LoadOptions, release
from serving.server.policy import (
    State,
    aspired_versions,
    check_config,
    folders_by_version,
    next_action,
    version_labels,
)
from serving.server.servable import Servable
from serving.server.versions import ServedModel, Version, VersionStatus
from serving.server.workers import Workers, cores

__all__ = [
    "CallMade",
    "ManagerOptions",
    "ModelManager",
    "VersionChanged",
    "VersionStatus",
    "Wanted",
]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    """What a request asks for: a model, and its version or label unless it is the newest."""

    name: str
    version: int | None = None
    label: str | None = None


@dataclass(frozen=True)
class ManagerOptions:
    """The options of tensorflow_model_server that concern models, with its defaults.

    Attributes:
        file_system_poll_wait_seconds: 0 looks once, negative never again.
        model_config_file_poll_wait_seconds: 0 never reads the file again.
        batching: None for one call a request.
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
    """A version came to a new state; `seconds` is what loading took, when it is AVAILABLE."""

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


class ModelManager:
    """The models of a server.

    Args:
        config: a ModelServerConfig.
        on_event: told of changes and calls; must neither block nor raise.
    """

    def __init__(
        self,
        config: Any,
        options: ManagerOptions,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self._config = config
        self._options = options
        self._on_event = on_event
        self._models: dict[str, ServedModel] = {}
        self._labels: dict[str, dict[str, int]] = {}
        self._tasks: set[asyncio.Task] = set()
        self._reloading = asyncio.Lock()
        self._loading = asyncio.Lock()
        self._changed = asyncio.Condition()
        self._polls: list[asyncio.Task] = []
        self._load_pool = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._workers: Workers | None = None
        self._scheduler: BatchScheduler | None = None
        self._loader: Loader | None = None

    async def start(self) -> None:
        """Loads the first versions and begins to follow the files.

        Waits, as TF Serving does, until each model has a version that answers.

        Raises:
            ServingError: if the configuration is wrong, or a model has only versions that fail.
        """
        options = self._options
        check_config(self._config)
        self._labels = self._checked_labels(self._config)
        self._workers = Workers(options.call_threads or cores(), options.max_in_flight)
        if options.batching is not None:
            self._scheduler = BatchScheduler(options.batching.num_batch_threads)
        load_options = LoadOptions(
            options.batching,
            options.per_model_batching,
            options.tensorflow_intra_op_parallelism,
            options.warmup,
        )
        on_run = None if self._on_event is None else self._tell_call
        self._loader = Loader(load_options, self._workers, self._scheduler, on_run)
        try:
            await self._poll_files(self._config)
            if options.file_system_poll_wait_seconds > 0:
                self._follow(options.file_system_poll_wait_seconds, self._poll_current)
            await self._wait_for([model.name for model in self._config.model_config_list.config])
        except BaseException:
            await self.close()
            raise
        if options.model_config_file and options.model_config_file_poll_wait_seconds > 0:
            self._follow(options.model_config_file_poll_wait_seconds, self._poll_config)

    def lease(self, wanted: Wanted) -> AbstractContextManager[Servable]:
        """Lends a servable for one request; it stays loaded until it is given back.

        Raises:
            ServingError: NOT_FOUND if no such version can answer; INVALID_ARGUMENT for a label
                that there is not.
        """
        model = self._models.get(wanted.name)
        number = wanted.version
        if wanted.label is not None:
            number = self._labeled(wanted.name, wanted.label)
        if number is None:
            version = model.latest if model is not None else None
        else:
            version = model.versions.get(number) if model is not None else None
        if version is None or version.state is not State.AVAILABLE:
            request = (
                f"Latest({wanted.name})" if number is None else f"Specific({wanted.name}, {number})"
            )
            raise not_found(f"Servable not found for request: {request}")
        return version.lease()

    def status(self, wanted: Wanted) -> list[VersionStatus]:
        """Returns the states of a model's versions, newest first, those that ended among them.

        Raises:
            ServingError: NOT_FOUND if there are none; INVALID_ARGUMENT for a label that there is
                not.
        """
        model = self._models.get(wanted.name)
        number = wanted.version
        if wanted.label is not None:
            number = self._labeled(wanted.name, wanted.label)
        if number is not None:
            if model is None or number not in model.versions:
                raise not_found(f"Could not find version {number} of model {wanted.name}")
            return [model.versions[number].status]
        if model is None or not model.versions:
            raise not_found(f"Could not find any versions of model {wanted.name}")
        return model.statuses()

    async def reload(self, config: Any) -> None:
        """Makes `config` the full set of models; returns when those that are new can answer.

        Raises:
            ServingError: if the configuration is wrong, a label may not stand where it should, or
                a new model has no version: all stays as it was. UNKNOWN if every version of a new
                model fails: the new set stays, as it does with TF Serving.
        """
        async with self._reloading:
            if config.WhichOneof("config") is None:
                _LOG.info("Taking no action for empty config.")
                return
            check_config(config)
            labels = self._checked_labels(config)
            known = {model.name for model in self._config.model_config_list.config}
            new = [m for m in config.model_config_list.config if m.name not in known]
            for model in new:
                if not await asyncio.to_thread(_aspired_folders, model):
                    raise not_found(
                        "Unable to find a numerical version path for servable "
                        f"{model.name} at: {model.base_path}"
                    )
            self._config = config
            self._labels = labels
            await self._poll_files(config)
            await self._wait_for([model.name for model in new])

    async def close(self) -> None:
        """Waits for the requests under way and unloads everything."""
        for task in self._polls:
            task.cancel()
        for model in self._models.values():
            model.aspire({})
        self._advance()
        while self._tasks:
            await asyncio.wait(set(self._tasks))
        for threads in (self._workers, self._scheduler):
            if threads is not None:
                threads.close()
        self._load_pool.shutdown(wait=False)

    def _labeled(self, name: str, label: str) -> int:
        try:
            return self._labels[name][label]
        except KeyError:
            raise invalid_argument(f"Unrecognized servable version label: {label}") from None

    def _checked_labels(self, config: Any) -> dict[str, dict[str, int]]:
        options = self._options
        return version_labels(
            config,
            {name: model.available() for name, model in self._models.items()},
            {} if options.force_allow_any_version_labels_for_unavailable_models else self._labels,
            options.allow_version_labels_for_unavailable_models
            or options.force_allow_any_version_labels_for_unavailable_models,
        )

    def _follow(self, seconds: float, poll: Callable[[], Any]) -> None:
        async def follow() -> None:
            while True:
                await asyncio.sleep(seconds)
                try:
                    await poll()
                except ServingError as error:
                    _LOG.error("%s", error.message)
                except Exception:
                    _LOG.exception("The files could not be read")

        self._polls.append(asyncio.get_running_loop().create_task(follow()))

    async def _poll_current(self) -> None:
        if not self._reloading.locked():
            await self._poll_files(self._config)

    async def _poll_config(self) -> None:
        from serving.text_configs import parse_models

        path = self._options.model_config_file
        assert path is not None
        config = parse_models(await asyncio.to_thread(path.read_text))
        if config != self._config:
            await self.reload(config)

    async def _poll_files(self, config: Any) -> None:
        """Looks which versions there are, and begins what follows from it."""
        found = {}
        for model in config.model_config_list.config:
            try:
                found[model.name] = await asyncio.to_thread(_aspired_folders, model)
            except OSError as error:
                _LOG.error(
                    "Could not find base path %s for servable %s with error %s",
                    model.base_path,
                    model.name,
                    error,
                )
        if config is not self._config:
            return  # a reload came between
        names = {model.name for model in config.model_config_list.config}
        for name, model in self._models.items():
            if name not in names:
                model.aspire({})
        for name, folders in found.items():
            self._aspire(name, folders)
        self._advance()

    def _aspire(self, name: str, folders: dict[int, Path]) -> None:
        model = self._models.setdefault(name, ServedModel(name))
        if not folders:
            _LOG.warning("No versions of servable %s found under its base path", name)
            if self._options.servable_versions_always_present:
                return
        model.aspire(folders)

    def _advance(self) -> None:
        """Begins whatever is to be done now."""
        for model in self._models.values():
            while True:
                action = next_action([v.snapshot for v in model.versions.values()])
                if action is None:
                    break
                version = model.versions[action.version]
                if action.verb == "load":
                    self._set(version, State.LOADING)
                    self._spawn(self._load(version))
                else:
                    self._set(version, State.UNLOADING)
                    self._spawn(self._unload(version))
            for version in list(model.versions.values()):
                if version.state is State.START and not version.is_aspired:
                    del model.versions[version.number]

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _load(self, version: Version) -> None:
        assert self._loader is not None
        loop = asyncio.get_running_loop()
        attempts = self._options.max_num_load_retries + 1
        for attempt in range(attempts):
            try:
                async with self._loading:
                    if not version.is_aspired:
                        break
                    started = time.perf_counter()
                    version.servable = await loop.run_in_executor(
                        self._load_pool,
                        self._loader.load,
                        version.name,
                        version.number,
                        version.folder,
                    )
                version.error = None
                self._set(version, State.AVAILABLE, time.perf_counter() - started)
                break
            except ServingError as error:
                version.error = error
                _LOG.error(
                    "Loading servable %s version %d failed: %s",
                    version.name,
                    version.number,
                    error.message,
                )
            if attempt + 1 < attempts and await self._dropped_within_retry(version):
                break
        if version.servable is None:
            self._set(version, State.END)
        self._advance()

    async def _dropped_within_retry(self, version: Version) -> bool:
        seconds = self._options.load_retry_interval_micros / 1e6
        try:
            await asyncio.wait_for(version.dropped.wait(), seconds)
        except asyncio.TimeoutError:
            return False
        return True

    async def _unload(self, version: Version) -> None:
        await version.idle()
        servable, version.servable = version.servable, None
        assert servable is not None
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._load_pool, servable.close)
        del servable
        await loop.run_in_executor(self._load_pool, release)
        self._set(version, State.END)
        self._advance()

    def _set(self, version: Version, state: State, seconds: float = 0.0) -> None:
        version.state = state
        self._models[version.name].refresh()
        self._spawn(self._announce())
        _LOG.info("Servable %s version %d: %s", version.name, version.number, state.name)
        if self._on_event is not None:
            error = version.error if state is State.END else None
            self._on_event(VersionChanged(version.name, version.number, state, seconds, error))

    async def _announce(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _tell_call(self, name: str, version: int, signature: str, run: BatchRun) -> None:
        assert self._on_event is not None
        self._on_event(CallMade(name, version, signature, run))

    async def _wait_for(self, names: list[str]) -> None:
        """Returns when each model can answer.

        Raises:
            ServingError: UNKNOWN if all versions of one have failed.
        """

        def is_settled(name: str) -> bool:
            model = self._models.get(name)
            versions = model.versions.values() if model is not None else ()
            aspired = [version for version in versions if version.is_aspired]
            if not aspired:
                return self._options.file_system_poll_wait_seconds <= 0
            return any(v.state is State.AVAILABLE for v in aspired) or all(
                v.state is State.END for v in aspired
            )

        async with self._changed:
            await self._changed.wait_for(lambda: all(is_settled(name) for name in names))
        failures = []
        for name in names:
            model = self._models.get(name)
            if model is None or not model.versions:
                failures.append(f"{{{name}: no version found}}")
            elif model.latest is None:
                failures += [
                    f"{{name: {name} version: {v.number} due to error: {v.error.code.name}: "
                    f"{v.error.message}}}"
                    for v in model.versions.values()
                    if v.error is not None
                ]
        if failures:
            raise ServingError(
                StatusCode.UNKNOWN,
                f"{len(failures)} model(s) did not become available: {{{', '.join(failures)}}}",
            )


def _aspired_folders(model: Any) -> dict[int, Path]:
    """Returns the folder of each version that a ModelConfig wants and that is there.

    Raises:
        OSError: if its base path cannot be read.
    """
    base = Path(model.base_path)
    folders = folders_by_version(base, os.listdir(base))
    wanted = aspired_versions(model.model_version_policy, folders)
    missing = set(model.model_version_policy.specific.versions) - wanted
    for version in sorted(missing):
        _LOG.warning(
            "Version %d of servable %s, which was requested to be served as a 'specific' version "
            "in the servable's version policy, was not found in the file system",
            version,
            model.name,
        )
    return {version: folders[version] for version in wanted}
