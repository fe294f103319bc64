"""One process of the server: the models, REST and gRPC on one event loop.

Started by the supervisor (`serving.server.supervisor`), which holds the other end of its channel;
when that ends, the worker finishes what it has begun and ends too.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import uvloop
from tensorflow_serving.config import model_server_config_pb2

from serving.server.admission import Admission
from serving.server.channel import Channel, error_of
from serving.server.errors import ServingError
from serving.server.flags import (
    Flags,
    batching,
    grpc_arguments,
    metrics_path,
    tls,
)
from serving.server.grpc_server import GrpcServer
from serving.server.grpc_services import GrpcServices
from serving.server.manager import ManagerOptions, ModelManager, VersionStatus, Wanted
from serving.server.peers import Alone, Peers, merged
from serving.server.rest import RestApi
from serving.server.rest_server import HEAD_SECONDS, RestServer
from serving.server.tls import server_credentials

_LOG = logging.getLogger(__name__)
_CLOSE_SECONDS = 10.0


class Worker:
    """A process of the server, from its first message to its last answer."""

    def __init__(self, channel: Channel, start: dict[str, Any]) -> None:
        self._channel = channel
        self._flags = flags = Flags(**start["flags"])
        self._address = start["address"]
        self._port = start["port"]
        self._rest_port = start["rest_port"]
        self._is_replacement = start["is_replacement"]
        self._stopping = asyncio.Event()
        self._may_listen = asyncio.Event()
        self._link = Link(channel)
        path = metrics_path(flags)
        self._metrics = metrics = None
        if path is not None:
            from serving.server.metrics import Metrics

            self._metrics = metrics = Metrics(flags.enable_batching)
        config = model_server_config_pb2.ModelServerConfig.FromString(
            base64.b64decode(start["config"])
        )
        on_event = metrics.on_event if metrics is not None else None
        self._manager = ModelManager(config, manager_options(flags), on_event)
        self._local = Alone(self._manager)
        peers: Peers = self._link if start["processes"] > 1 else self._local
        admission = Admission(flags.max_in_flight, flags.max_in_flight_bytes)
        self._rest = RestServer(
            RestApi(
                self._manager,
                peers,
                admission,
                flags.rest_api_timeout_in_ms / 1000,
                flags.rest_api_max_body_bytes,
                metrics,
                path,
            ),
            flags.drain_seconds,
            min(HEAD_SECONDS, flags.rest_api_timeout_in_ms / 1000 or HEAD_SECONDS),
        )
        self._grpc = self._make_grpc_server(peers, admission)

    def _make_grpc_server(self, peers: Peers, admission: Admission) -> GrpcServer:
        security = tls(self._flags)
        return GrpcServer(
            GrpcServices(self._manager, peers, admission, self._metrics),
            self._flags.grpc_max_message_bytes,
            grpc_arguments(self._flags),
            None if security is None else server_credentials(security),
        )

    async def run(self) -> None:
        """Loads the models, serves until it is told to stop, and finishes what has begun."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stopping.set)
        listening = loop.create_task(self._listen())
        stopping = loop.create_task(self._stopping.wait())
        starting = loop.create_task(self._start())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            # Loading cannot be broken off; nothing is being answered yet.
            os._exit(0)
        await starting
        self._channel.send({"kind": "ready"})
        await stopping
        await self._drain()
        listening.cancel()

    async def _start(self) -> None:
        await self._manager.start(self._is_replacement)
        self._channel.send({"kind": "loaded"})
        await self._may_listen.wait()
        await self._grpc.start(self._address, self._port)
        if self._rest_port is not None:
            await self._rest.start(_listener(self._address, self._rest_port))

    async def _drain(self) -> None:
        draining = [self._grpc.drain(self._flags.drain_seconds)]
        if self._rest_port is not None:
            draining.append(self._rest.drain())
        await asyncio.gather(*draining)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._manager.close(), _CLOSE_SECONDS)

    async def _listen(self) -> None:
        """Does what the supervisor says, until it says stop or is gone."""
        tasks = set()
        while (message := await self._channel.receive()) is not None:
            if message["kind"] == "stop":
                break
            if message["kind"] == "listen":
                self._may_listen.set()
            elif message["kind"] == "answer":
                self._link.answered(message)
            else:
                task = asyncio.get_running_loop().create_task(self._do(message))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        self._stopping.set()

    async def _do(self, message: dict[str, Any]) -> None:
        operations: dict[str, Callable[[Any], Awaitable[Any]]] = {
            "reload": self._reload,
            "status": self._status,
        }
        reply: dict[str, Any]
        try:
            reply = {"result": await operations[message["operation"]](message["payload"])}
        except ServingError as error:
            reply = error_of(error.code.name, error.message)
        except Exception:
            _LOG.exception("%s", message["operation"])
            reply = error_of("INTERNAL", "internal error; the server's log has more")
        self._channel.send({"kind": "reply", "id": message["id"], **reply})

    async def _reload(self, payload: str) -> None:
        config = model_server_config_pb2.ModelServerConfig.FromString(base64.b64decode(payload))
        await self._local.reload(config)

    async def _status(self, payload: dict[str, Any]) -> list[list[Any]]:
        statuses = await self._local.statuses(Wanted(**payload))
        return [
            [status.version, status.state, status.error_code, status.error_message]
            for status in statuses
        ]


class Link:
    """All processes of the server, asked through the supervisor."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._ids = itertools.count()
        self._waiting: dict[int, asyncio.Future] = {}

    async def statuses(self, wanted: Wanted) -> list[VersionStatus]:
        payload = {"name": wanted.name, "version": wanted.version, "label": wanted.label}
        replies = await self._ask("status", payload)
        found = [
            [VersionStatus(*status) for status in reply.get("result", [])] for reply in replies
        ]
        if not any(found):
            _raise_first_error(replies)
        return merged(found)

    async def reload(self, config: Any) -> None:
        payload = base64.b64encode(config.SerializeToString()).decode()
        _raise_first_error(await self._ask("reload", payload))

    def answered(self, message: dict[str, Any]) -> None:
        """Takes the answer to a question of this process."""
        future = self._waiting.pop(message["id"], None)
        if future is not None and not future.done():
            future.set_result(message["replies"])

    async def _ask(self, operation: str, payload: Any) -> list[dict[str, Any]]:
        number = next(self._ids)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._channel.send(
            {"kind": "ask", "id": number, "operation": operation, "payload": payload}
        )
        try:
            replies = await future
        finally:
            self._waiting.pop(number, None)
        if not replies:
            raise ServingError(
                grpc.StatusCode.UNAVAILABLE, f"no process of the server replies to {operation}"
            )
        return replies


def _raise_first_error(replies: list[dict[str, Any]]) -> None:
    for reply in replies:
        if "error" in reply:
            code, message = reply["error"]
            raise ServingError(grpc.StatusCode[code], message)


def manager_options(flags: Flags) -> ManagerOptions:
    """Returns what the flags say of models."""
    return ManagerOptions(
        file_system_poll_wait_seconds=flags.file_system_poll_wait_seconds,
        max_num_load_retries=flags.max_num_load_retries,
        load_retry_interval_micros=flags.load_retry_interval_micros,
        batching=batching(flags),
        per_model_batching=flags.enable_per_model_batching_parameters,
        allow_version_labels_for_unavailable_models=(
            flags.allow_version_labels_for_unavailable_models
        ),
        force_allow_any_version_labels_for_unavailable_models=(
            flags.force_allow_any_version_labels_for_unavailable_models
        ),
        servable_versions_always_present=flags.servable_versions_always_present,
        model_config_file=Path(flags.model_config_file) if flags.model_config_file else None,
        model_config_file_poll_wait_seconds=flags.model_config_file_poll_wait_seconds,
        warmup=flags.enable_model_warmup,
        tensorflow_intra_op_parallelism=flags.tensorflow_intra_op_parallelism,
        max_in_flight=flags.max_in_flight,
    )


def _listener(address: str, port: int) -> socket.socket:
    """Returns this process's own socket of the shared port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((address, port))
    return listener


async def _main(end: socket.socket) -> int:
    channel = await Channel.open(end)
    start = await channel.receive()
    if start is None:
        return 0
    try:
        await Worker(channel, start).run()
    except (ServingError, ValueError, OSError) as error:
        channel.send({"kind": "failed", "message": str(error)})
        await channel.close()
        return 1
    await channel.close()
    return 0


def main() -> None:
    """Runs a worker; the argument is the descriptor of its end of the channel."""
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(process)d %(levelname)s %(message)s"
    )
    # Its advice on deprecated calls is for those who write them.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    end = socket.socket(fileno=int(sys.argv[1]))
    uvloop.install()
    code = asyncio.run(_main(end))
    # TensorFlow's threads may still be in a call that nobody waits for.
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
