"""The first process of the server: holds the ports, starts the workers and keeps them alive.

It never imports TensorFlow. The ports are reserved before any worker runs, so that a clash is told
at once; the workers then share them by SO_REUSEPORT.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from typing import Any

from serving.server.channel import Channel
from serving.server.flags import (
    Flags,
    InvalidFlags,
    metrics_path,
    model_server_config,
    process_count,
)
from serving.server.ports import Reserved

_FIRST_DELAY = 0.1
_LONGEST_DELAY = 30.0
_STEADY_SECONDS = 60.0
_STOP_MARGIN = 15.0
"""Seconds that a worker has, over those to drain, before it is killed."""

_ANSWER_SECONDS = 2.0
"""How long a worker has to say what it has at hand: one that is stuck holds the others up no more
than one that is dead."""


class StartFailed(RuntimeError):
    """The server could not start; the message says why, for its user."""


class Supervisor:
    """A server of one or more processes.

    Args:
        config: the ModelServerConfig to begin with.
    """

    def __init__(self, flags: Flags, config: Any) -> None:
        self._flags = flags
        self._config = _encoded(config)
        self._count = process_count(flags)
        self._workers: list[_Worker] = []
        self._signals: asyncio.Queue[int] = asyncio.Queue()
        self._reloading = asyncio.Lock()
        self._tasks: set[asyncio.Task] = set()
        self.stopping = asyncio.Event()

    async def run(self) -> int:
        """Serves until a signal; returns the exit code.

        Raises:
            StartFailed: if a port is taken, or a worker could not load its models.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signals.put_nowait, number)
        with contextlib.ExitStack() as stack:
            ports = stack.enter_context(Reserved(self._flags))
            environment = {**os.environ, **_quiet()}
            if metrics_path(self._flags) is not None:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="metrics-"))
                environment["PROMETHEUS_MULTIPROC_DIR"] = folder
            start = {
                "kind": "start",
                "flags": self._flags.to_json(),
                "address": ports.address,
                "port": ports.port,
                "rest_port": ports.rest_port,
                "processes": self._count,
            }
            self._workers = [_Worker(self, start, environment) for _ in range(self._count)]
            keeping = [loop.create_task(worker.keep()) for worker in self._workers]
            try:
                return await self._supervise(keeping, ports)
            finally:
                self.stopping.set()
                for worker in self._workers:
                    worker.kill()
                for task in keeping:
                    task.cancel()
                await asyncio.gather(*keeping, return_exceptions=True)

    async def _supervise(self, keeping: list[asyncio.Task], ports: Reserved) -> int:
        loop = asyncio.get_running_loop()
        ready = loop.create_task(self._all_ready())
        signalled = loop.create_task(self._signals.get())
        await asyncio.wait({ready, signalled, *keeping}, return_when=asyncio.FIRST_COMPLETED)
        for task in keeping:
            if task.done():
                ready.cancel()
                task.result()
        if ready.done():
            print(f"serving {ports}", flush=True)
        await asyncio.wait({signalled, *keeping}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if not signalled.done():
            for task in keeping:
                if task.done():
                    task.result()
        return await self._stop(keeping)

    async def _stop(self, keeping: list[asyncio.Task]) -> int:
        """Lets the workers finish; a second signal, or their time, ends them at once."""
        self.stopping.set()
        for worker in self._workers:
            worker.send({"kind": "stop"})
        again = asyncio.get_running_loop().create_task(self._signals.get())
        ended = asyncio.gather(*keeping, return_exceptions=True)
        either: set[asyncio.Future[Any]] = {again, ended}
        await asyncio.wait(
            either,
            timeout=self._flags.drain_seconds + _STOP_MARGIN,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if ended.done():
            again.cancel()
            return 0
        ended.cancel()
        return 128 + again.result() if again.done() else 1

    async def _all_ready(self) -> None:
        for worker in self._workers:
            await worker.ready.wait()

    @property
    def config(self) -> str:
        """The ModelServerConfig that a new worker begins with, as the channel takes it."""
        if self._flags.model_config_file_poll_wait_seconds > 0:
            # The others have followed the file since it was read.
            with contextlib.suppress(InvalidFlags):
                self._config = _encoded(model_server_config(self._flags))
        return self._config

    def asked(self, worker: _Worker, message: dict[str, Any]) -> None:
        """Asks all workers what one of them asks, and answers it when all have replied."""
        task = asyncio.get_running_loop().create_task(self._answer(worker, message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def loaded(self, worker: _Worker, config: str) -> None:
        """Lets a worker listen that has loaded `config`, brought up to date before."""
        task = asyncio.get_running_loop().create_task(self._admit(worker, worker.channel, config))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _admit(self, worker: _Worker, channel: Channel | None, config: str) -> None:
        # A reload that is confirmed meanwhile is either in here already, or asks this one too.
        async with self._reloading:
            if worker.channel is channel and self.config != config:
                await worker.ask("reload", self.config)
            if worker.channel is not channel:  # its process has ended
                return
            worker.is_loaded = True
        worker.send({"kind": "listen"})

    async def _answer(self, worker: _Worker, message: dict[str, Any]) -> None:
        operation, payload = message["operation"], message["payload"]
        if operation == "reload":
            replies = await self._reload(payload)
        else:
            replies = await self._broadcast(operation, payload, _ANSWER_SECONDS)
        worker.send({"kind": "answer", "id": message["id"], "replies": replies})

    async def _reload(self, payload: str) -> list[dict[str, Any]]:
        async with self._reloading:
            before, self._config = self._config, payload
            replies = await self._broadcast("reload", payload)
            codes = {reply["error"][0] for reply in replies if "error" in reply}
            # UNKNOWN says that a new model does not load: the new set stays in force, as with one
            # process. Anything else may leave some with the old set and some with the new.
            if codes - {"UNKNOWN"}:
                self._config = before
                await self._broadcast("reload", before)
            return replies

    async def _broadcast(
        self, operation: str, payload: Any, seconds: float | None = None
    ) -> list[dict[str, Any]]:
        """Returns the replies of the workers that serve, but for those that end meanwhile.

        Args:
            seconds: after which a worker counts as one that has ended; None waits for all.
        """
        serving = [worker for worker in self._workers if worker.is_loaded]
        asked = (worker.ask(operation, payload, seconds) for worker in serving)
        return [reply for reply in await asyncio.gather(*asked) if reply is not None]


class _Worker:
    """A worker's place: its process, and the next one when that ends."""

    def __init__(
        self, supervisor: Supervisor, start: dict[str, Any], environment: dict[str, str]
    ) -> None:
        self.ready = asyncio.Event()
        self.is_loaded = False
        self._supervisor = supervisor
        self._start = start
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None
        self.channel: Channel | None = None
        self._ids = itertools.count()
        self._waiting: dict[int, asyncio.Future] = {}
        self._failure = ""
        self._has_served = False

    async def keep(self) -> None:
        """Runs processes, one after the other, until the server stops.

        Raises:
            StartFailed: if the first of them does not come to serve.
        """
        loop = asyncio.get_running_loop()
        failures = 0
        while not self._supervisor.stopping.is_set():
            started = loop.time()
            ending = await self._run_process()
            self.ready.clear()
            if self._supervisor.stopping.is_set():
                return
            if not self._has_served:
                raise StartFailed(self._failure or f"a worker {ending}")
            failures = 0 if loop.time() - started > _STEADY_SECONDS else failures + 1
            delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2**failures)
            print(
                f"serving.server: a worker {ending} {self._failure}".rstrip()
                + f"; another starts in {delay:g} s",
                file=sys.stderr,
                flush=True,
            )
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._supervisor.stopping.wait(), delay)

    async def _run_process(self) -> str:
        """Runs a process to its end; returns how it ended, or that there was none to run."""
        config = self._supervisor.config
        self._failure = ""
        try:
            async with self._spawned() as (process, channel):
                start = {"config": config, "is_replacement": self._has_served}
                channel.send({**self._start, **start})
                while (message := await channel.receive()) is not None:
                    await self._handle(message, config)
                return _ending(await process.wait())
        except OSError as error:  # the machine is short of processes or files: for now, perhaps
            return f"cannot be run: {error}"

    @contextlib.asynccontextmanager
    async def _spawned(self) -> AsyncIterator[tuple[asyncio.subprocess.Process, Channel]]:
        ours, theirs = socket.socketpair()
        with theirs, contextlib.ExitStack() as unused:
            unused.callback(ours.close)
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-W", "ignore", "-m", "serving.server.worker"),
                str(theirs.fileno()),
                pass_fds=(theirs.fileno(),),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr,
                # A terminal's signals are the supervisor's to pass on.
                start_new_session=True,
            )
            unused.pop_all()
        self.channel = await Channel.open(ours)
        try:
            yield self._process, self.channel
        finally:
            for future in self._waiting.values():
                if not future.done():
                    future.set_result(None)
            self._waiting.clear()
            await self.channel.close()
            self.channel = None
            self.is_loaded = False

    async def _handle(self, message: dict[str, Any], config: str) -> None:
        kind = message["kind"]
        if kind == "loaded":
            self._supervisor.loaded(self, config)
        elif kind == "ready":
            self.ready.set()
            self._has_served = True
            if self._supervisor.stopping.is_set():
                self.send({"kind": "stop"})
        elif kind == "failed":
            self._failure = message["message"]
        elif kind == "ask":
            self._supervisor.asked(self, message)
        elif kind == "reply":
            future = self._waiting.pop(message["id"], None)
            if future is not None and not future.done():
                future.set_result(message)

    def send(self, message: dict[str, Any]) -> None:
        if self.channel is not None:
            self.channel.send(message)

    async def ask(
        self, operation: str, payload: Any, seconds: float | None = None
    ) -> dict[str, Any] | None:
        """Returns the process's reply, None if it ended, or the time was over, before it came."""
        if self.channel is None:
            return None
        number = next(self._ids)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        self.send({"kind": "do", "id": number, "operation": operation, "payload": payload})
        try:
            return await asyncio.wait_for(future, seconds)
        except asyncio.TimeoutError:
            return None
        finally:
            self._waiting.pop(number, None)

    def kill(self) -> None:
        """Ends the process at once."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()


def _encoded(config: Any) -> str:
    # A map's order differs from call to call unless it is asked for.
    return base64.b64encode(config.SerializeToString(deterministic=True)).decode()


def _ending(code: int) -> str:
    return f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"


def _quiet() -> dict[str, str]:
    """Returns the settings that keep TensorFlow's notes out of the log, unless they are set."""
    wanted = {"TF_CPP_MIN_LOG_LEVEL": "3", "GRPC_VERBOSITY": "ERROR", "PYTHONUNBUFFERED": "1"}
    return {name: value for name, value in wanted.items() if name not in os.environ}
