"""Which models and versions a server has: follows the files, keeps the labels, lends servables.

    manager = ModelManager(config, ManagerOptions())
    await manager.start()
    with manager.lease(Wanted("digits")) as servable:
        answers = await servable.run("serving_default", inputs)

Lives on one event loop. TF Serving's semantics: server_core.cc, get_model_status_impl.cc and the
configuration's polling in server.cc.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grpc import StatusCode

from serving.server.batching import BatchRun, BatchScheduler
from serving.server.errors import ServingError, invalid_argument, not_found
from serving.server.lifecycle import Lifecycle
from serving.server.loader import Loader, LoadOptions
from serving.server.options import CallMade, Event, ManagerOptions, Observer, VersionChanged
from serving.server.policy import State, check_config, version_labels
from serving.server.servable import Servable
from serving.server.storage import aspired_folders
from serving.server.versions import VersionStatus
from serving.server.workers import Workers, cores

__all__ = [
    "CallMade",
    "Event",
    "ManagerOptions",
    "ModelManager",
    "Observer",
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


class ModelManager:
    """The models of a server.

    Args:
        config: a ModelServerConfig.
        on_event: told of changes of state, and of calls on the threads that make them; must
            neither block nor raise.
    """

    def __init__(
        self, config: Any, options: ManagerOptions, on_event: Observer | None = None
    ) -> None:
        self._config = config
        self._options = options
        self._on_event = on_event
        self._labels: dict[str, dict[str, int]] = {}
        self._workers: Workers | None = None
        self._scheduler: BatchScheduler | None = None
        self._lifecycle: Lifecycle | None = None
        self._reloading = asyncio.Lock()
        self._polling = asyncio.Lock()
        self._followers: list[asyncio.Task] = []

    async def start(self, is_replacement: bool = False) -> None:
        """Loads the first versions and begins to follow the files.

        Waits, as TF Serving does, until each model has a version that can answer.

        Args:
            is_replacement: whether other processes serve this configuration already. It was
                checked when it came; a model of it that does not load holds nothing up, as it
                holds up none of the others.

        Raises:
            ServingError: if the configuration is wrong, a label may not stand where it should, or
                a model has only versions that fail, or none where the files are read once.
        """
        options = self._options
        check_config(self._config)
        self._lifecycle = Lifecycle(self._make_loader(), options, self._on_event)
        models = self._config.model_config_list.config
        try:
            self._labels = self._checked_labels(self._config, is_replacement)
            if options.file_system_poll_wait_seconds <= 0:
                await self._check_present(models)
            await self._poll_file_system()
            if options.file_system_poll_wait_seconds > 0:
                self._follow(self._poll_file_system, options.file_system_poll_wait_seconds)
            await self._first_loaded([model.name for model in models], is_replacement)
        except BaseException:
            await self.close()
            raise
        if options.model_config_file and options.model_config_file_poll_wait_seconds > 0:
            self._follow(self._poll_config_file, options.model_config_file_poll_wait_seconds)

    async def _first_loaded(self, names: list[str], is_replacement: bool) -> None:
        """Returns when each model can answer; for a replacement, or when it has none that could."""
        if is_replacement:
            names = [name for name in names if self._active.has_versions(name)]
        try:
            await self._active.settled(names)
        except ServingError as error:
            if not is_replacement or error.code is not StatusCode.UNKNOWN:
                raise
            _LOG.error("%s", error.message)

    def lease(self, wanted: Wanted) -> AbstractContextManager[Servable]:
        """Lends a servable for one request, to be entered at once; it stays loaded meanwhile.

        Raises:
            ServingError: NOT_FOUND if no such version can answer; INVALID_ARGUMENT for a label
                that there is not.
        """
        model = self._active.models.get(wanted.name)
        number = self._version_number(wanted)
        if model is not None:
            version = model.latest if number is None else model.versions.get(number)
            if version is not None and version.state is State.AVAILABLE:
                return version
        asked = f"Latest({wanted.name})"
        if number is not None:
            asked = f"Specific({wanted.name}, {number})"
        raise not_found(f"Servable not found for request: {asked}")

    def status(self, wanted: Wanted) -> list[VersionStatus]:
        """Returns the states of a model's versions, newest first, those that ended among them.

        Raises:
            ServingError: NOT_FOUND if there are none; INVALID_ARGUMENT for a label that there is
                not.
        """
        model = self._active.models.get(wanted.name)
        number = self._version_number(wanted)
        versions = model.versions if model is not None else {}
        if number is not None:
            if number not in versions:
                raise not_found(f"Could not find version {number} of model {wanted.name}")
            return [versions[number].status]
        if not versions:
            raise not_found(f"Could not find any versions of model {wanted.name}")
        return [versions[number].status for number in sorted(versions, reverse=True)]

    async def reload(self, config: Any) -> None:
        """Makes `config` the full set of models; returns when those that are new can answer.

        Raises:
            ServingError: if the configuration is wrong, a label may not stand where it should, or
                a new model has no version: all stays as it was. UNKNOWN if every version of a new
                model fails: the new set stays, as it does with TF Serving.
        """
        async with self._reloading:
            if config.WhichOneof("config") is None:
                _LOG.debug("Taking no action for empty config.")
                return
            check_config(config)
            known = {model.name for model in self._config.model_config_list.config}
            new = [model for model in config.model_config_list.config if model.name not in known]
            await self._check_present(new)
            self._labels = self._checked_labels(config)
            self._config = config
            await self._poll_file_system()
            await self._active.settled([model.name for model in new])

    async def close(self) -> None:
        """Waits for the requests under way and unloads everything."""
        for task in self._followers:
            task.cancel()
        await asyncio.gather(*self._followers, return_exceptions=True)
        if self._lifecycle is not None:
            await self._lifecycle.close()
        if self._workers is not None:
            self._workers.close()
        if self._scheduler is not None:
            self._scheduler.close()

    @property
    def _active(self) -> Lifecycle:
        assert self._lifecycle is not None, "start() comes first"
        return self._lifecycle

    def _make_loader(self) -> Loader:
        options = self._options
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
        return Loader(load_options, self._workers, self._scheduler, on_run)

    def _tell_call(self, name: str, version: int, signature: str, run: BatchRun) -> None:
        assert self._on_event is not None
        self._on_event(CallMade(name, version, signature, run))

    def _version_number(self, wanted: Wanted) -> int | None:
        """Returns the version that is asked for, by number or by label; None for the newest."""
        if wanted.label is None:
            return wanted.version
        try:
            return self._labels[wanted.name][wanted.label]
        except KeyError:
            raise invalid_argument(f"Unrecognized servable version label: {wanted.label}") from None

    def _checked_labels(self, config: Any, is_checked: bool = False) -> dict[str, dict[str, int]]:
        options = self._options
        is_forced = options.force_allow_any_version_labels_for_unavailable_models or is_checked
        return version_labels(
            config,
            available={name: model.available() for name, model in self._active.models.items()},
            assigned={} if is_forced else self._labels,
            allow_unavailable=is_forced or options.allow_version_labels_for_unavailable_models,
        )

    async def _check_present(self, models: Any) -> None:
        """Refuses models without a version: nothing would come of waiting for them."""
        for model in models:
            if not await self._found(model):
                raise not_found(
                    f"Unable to find a numerical version path for servable {model.name} at: "
                    f"{model.base_path}"
                )

    async def _found(self, model: Any) -> dict[int, Path] | None:
        """Returns the folders of a model's versions; None if its base path cannot be read."""
        try:
            return await asyncio.to_thread(aspired_folders, model)
        except OSError as error:
            _LOG.error(
                "Could not find base path %s for servable %s with error %s",
                model.base_path,
                model.name,
                error,
            )
            return None

    async def _poll_file_system(self) -> None:
        """Looks which versions there are, and begins what follows from it."""
        async with self._polling:
            config = self._config
            folders = {}
            for model in config.model_config_list.config:
                found = await self._found(model)
                if found or (
                    found is not None and not self._options.servable_versions_always_present
                ):
                    folders[model.name] = found
            if config is self._config:  # else a reload came between, and looks itself
                names = {model.name for model in config.model_config_list.config}
                self._active.aspire(folders, names)

    async def _poll_config_file(self) -> None:
        """Reads models.config again, and makes it the configuration if it is another."""
        from google.protobuf.text_format import ParseError

        from serving.text_configs import parse_models

        path = self._options.model_config_file
        assert path is not None
        try:
            config = parse_models(await asyncio.to_thread(path.read_text))
        except (OSError, ValueError, ParseError) as error:
            raise invalid_argument(f"{path}: {error}") from error
        if config != self._config:
            await self.reload(config)

    def _follow(self, poll: Callable[[], Awaitable[None]], seconds: float) -> None:
        """Polls now and then for as long as the server lives, whatever a poll comes to."""

        async def follow() -> None:
            last = ""
            while True:
                await asyncio.sleep(seconds)
                try:
                    await poll()
                    told = ""
                except ServingError as error:
                    told = error.message
                except Exception as error:  # the next poll may find it mended
                    told = f"{type(error).__name__}: {error}"
                if told and told != last:  # once, not every second
                    _LOG.error("%s", told)
                last = told

        self._followers.append(asyncio.get_running_loop().create_task(follow()))
