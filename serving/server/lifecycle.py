"""Brings the versions that are wanted up, and takes those that are not down.

Each model's next step is `policy.next_action`'s, taken whenever something has changed; loading and
unloading run beside the event loop, one version at a time. See aspired_versions_manager.cc,
basic_manager.cc and loader_harness.cc of TF Serving.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from grpc import StatusCode

from serving.server.errors import ServingError
from serving.server.options import ManagerOptions, Observer, VersionChanged
from serving.server.policy import State, next_action
from serving.server.servable import Servable
from serving.server.tensorflow_errors import as_serving_error
from serving.server.versions import ServedModel, Version

_LOG = logging.getLogger(__name__)


class Loads(Protocol):
    """What brings versions up and down; `serving.server.loader.Loader` is one. Both block."""

    def load(self, name: str, version: int, folder: Path) -> Servable: ...

    def drain(self, servable: Servable) -> None:
        """Returns when no call runs that nobody waits for any more."""

    def unload(self, servable: Servable) -> None: ...


class Lifecycle:
    """The versions of all models, each on its way to being available or gone."""

    def __init__(self, loader: Loads, options: ManagerOptions, observer: Observer | None) -> None:
        self.models: dict[str, ServedModel] = {}
        self._loader = loader
        self._options = options
        self._observer = observer
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="load")
        # Not the loop's own: that is waited for when the loop ends, and a call may last for ever.
        self._draining = ThreadPoolExecutor(thread_name_prefix="drain")
        self._turn = asyncio.Lock()
        self._work: set[asyncio.Task] = set()
        self._changed = asyncio.Event()
        self._is_closed = False

    def aspire(self, folders: dict[str, dict[int, Path]], names: Collection[str]) -> None:
        """Makes these the versions that are wanted: folders by model and version.

        Args:
            names: the models that there are; one that has no folders here stays as it is.
        """
        if self._is_closed:
            return
        for name, model in self.models.items():
            if name not in names:
                model.aspire({})
        for name, versions in folders.items():
            self.models.setdefault(name, ServedModel(name)).aspire(versions)
        self._advance()

    async def settled(self, names: Collection[str]) -> None:
        """Returns when each of these models has a version that can answer.

        Raises:
            ServingError: UNKNOWN if all versions of one have failed; CANCELLED if the server ends.
        """
        while not all(self._is_settled(name) for name in names):
            if self._is_closed:
                raise ServingError(StatusCode.CANCELLED, "the server is shutting down")
            await self._changed.wait()
        failures = [
            f"{{name: {name} version: {version.number} due to error: {version.error.code.name}: "
            f"{version.error.message}}}"
            for name in names
            if self.models[name].latest is None
            for version in self.models[name].versions.values()
            if version.error is not None
        ]
        if failures:
            raise ServingError(
                StatusCode.UNKNOWN,
                f"{len(failures)} model(s) did not become available: {{{', '.join(failures)}}}",
            )

    def has_versions(self, name: str) -> bool:
        """Returns whether a model has a version that is wanted, in whatever state."""
        model = self.models.get(name)
        return model is not None and any(item.is_aspired for item in model.versions.values())

    async def close(self) -> None:
        """Unloads everything when nobody uses it any more."""
        self._is_closed = True
        for model in self.models.values():
            model.aspire({})
        self._advance()
        self._tell_waiting()
        while self._work:
            await asyncio.wait(set(self._work))
        self._thread.shutdown(wait=False)
        self._draining.shutdown(wait=False)

    def _is_settled(self, name: str) -> bool:
        """Returns whether a model can answer, or cannot ever with what it has now."""
        model = self.models.get(name)
        if model is None:
            return False
        aspired = [version for version in model.versions.values() if version.is_aspired]
        states = {version.state for version in aspired}
        return State.AVAILABLE in states or states == {State.END}

    def _advance(self) -> None:
        """Begins whatever is to be done now."""
        for model in self.models.values():
            model.forget_unused()
            while action := next_action([item.snapshot for item in model.versions.values()]):
                version = model.versions[action.version]
                if action.verb == "load":
                    self._set(version, State.LOADING)
                    self._begin(self._load(version))
                else:
                    self._set(version, State.UNLOADING)
                    self._begin(self._unload(version))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _load(self, version: Version) -> None:
        """Loads a version, again and again unless it is dropped meanwhile."""
        for attempts_left in range(self._options.max_num_load_retries, -1, -1):
            try:
                async with self._turn:
                    if version.dropped.is_set():
                        break
                    started = time.perf_counter()
                    version.servable = await asyncio.get_running_loop().run_in_executor(
                        self._thread,
                        self._loader.load,
                        version.name,
                        version.number,
                        version.folder,
                    )
                break
            except Exception as error:  # whatever it is, nobody may wait for this version for ever
                version.error = as_serving_error(error)
                _LOG.error(
                    "Loading servable: %s version: %d failed: %s; attempts left: %d",
                    version.name,
                    version.number,
                    version.error.message,
                    attempts_left,
                    exc_info=not isinstance(error, ServingError),
                )
            if not attempts_left or await self._is_dropped_before_retry(version):
                break
        if version.servable is None:
            self._set(version, State.END)
        else:
            version.error = None
            self._set(version, State.AVAILABLE, time.perf_counter() - started)
        self._advance()

    async def _is_dropped_before_retry(self, version: Version) -> bool:
        seconds = self._options.load_retry_interval_micros / 1e6
        try:
            await asyncio.wait_for(version.dropped.wait(), seconds)
        except asyncio.TimeoutError:
            return False
        return version.dropped.is_set()  # it may be wanted again by now

    async def _unload(self, version: Version) -> None:
        await version.idle()
        servable, version.servable = version.servable, None
        assert servable is not None
        loop = asyncio.get_running_loop()
        try:
            # Others are loaded meanwhile.
            await loop.run_in_executor(self._draining, self._loader.drain, servable)
            async with self._turn:
                await loop.run_in_executor(self._thread, self._loader.unload, servable)
        except Exception:  # it answers nobody any more, and those that wait for its end go on
            _LOG.exception("Unloading servable: %s version: %d", version.name, version.number)
        self._set(version, State.END)
        self.models[version.name].renew(version)
        self._advance()

    def _set(self, version: Version, state: State, seconds: float = 0.0) -> None:
        version.state = state
        self.models[version.name].refresh()
        _LOG.info("Servable: %s version: %d: %s", version.name, version.number, state.name)
        if self._observer is not None:
            error = version.error if state is State.END else None
            self._observer(VersionChanged(version.name, version.number, state, seconds, error))
        self._tell_waiting()

    def _tell_waiting(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
