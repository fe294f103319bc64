"""What concerns all workers reaches all, and one that fails or is stuck does not hold up others.

The workers are this test's: the ends of channels, without processes.
"""

import asyncio
import socket

import pytest
from grpc import StatusCode
from tensorflow_serving.config import model_server_config_pb2

from serving.server import supervisor as module
from serving.server.channel import Channel, error_of
from serving.server.errors import ServingError
from serving.server.flags import Flags
from serving.server.manager import VersionStatus, Wanted
from serving.server.supervisor import Supervisor
from serving.server.worker import Link

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


OK = {"result": None}


class Far:
    """The far end of a worker's channel: replies what it is told to, in turn; None is silence."""

    def __init__(self, channel, replies):
        self.payloads = []
        self._channel = channel
        self._replies = list(replies)

    async def serve(self):
        while (message := await self._channel.receive()) is not None:
            self.payloads.append(message["payload"])
            reply = self._replies.pop(0) if self._replies else OK
            if reply is not None:
                self._channel.send({"kind": "reply", "id": message["id"], **reply})


@pytest.fixture
async def start():
    """Makes a supervisor whose workers reply as told; returns it and the far ends."""
    tasks = []

    async def make(*replies):
        config = model_server_config_pb2.ModelServerConfig()
        supervisor = Supervisor(Flags(model_base_path="/m"), config)
        fars = []
        for each in replies:
            worker = module._Worker(supervisor, {}, {})
            ours, theirs = socket.socketpair()
            worker.channel = await Channel.open(ours)
            fars.append(Far(await Channel.open(theirs), each))
            tasks.append(asyncio.ensure_future(receive(worker)))
            tasks.append(asyncio.ensure_future(fars[-1].serve()))
            worker.is_loaded = True
            supervisor._workers.append(worker)
        return supervisor, fars

    yield make
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def receive(worker):
    while (message := await worker.channel.receive()) is not None:
        await worker._handle(message, "")


async def ask(supervisor, operation, payload):
    """Asks all workers as one of them does; returns the replies."""
    answers = asyncio.Queue()

    class Asker:
        send = answers.put_nowait

    supervisor.asked(Asker, {"id": 1, "operation": operation, "payload": payload})
    replies = (await asyncio.wait_for(answers.get(), 30))["replies"]
    return [{key: reply[key] for key in reply.keys() & {"result", "error"}} for reply in replies]


UNKNOWN = error_of("UNKNOWN", "a new model does not load")
REFUSED = error_of("FAILED_PRECONDITION", "no")


@pytest.mark.parametrize(
    ("replies", "is_kept"),
    [
        ([OK, OK], True),
        ([UNKNOWN, UNKNOWN], True),
        ([UNKNOWN, OK], True),
        ([REFUSED, OK], False),
        ([REFUSED, UNKNOWN], False),
        ([REFUSED, REFUSED], False),
    ],
    ids=["ok", "unknown", "unknown in one", "refused by one", "refused, unknown", "refused"],
)
async def test_reload_when_workers_reply_then_all_have_the_same_set(start, replies, is_kept):
    supervisor, fars = await start(*[[reply] for reply in replies])
    before = supervisor.config
    assert await ask(supervisor, "reload", "after") == replies
    assert [far.payloads[-1] for far in fars] == ["after" if is_kept else before] * 2
    assert supervisor.config == ("after" if is_kept else before)


async def test_status_when_a_worker_is_stuck_then_is_that_of_the_others(start):
    supervisor, _ = await start([None], [{"result": [[1, 30, 0, ""]]}])
    assert await ask(supervisor, "status", {}) == [{"result": [[1, 30, 0, ""]]}]
    assert not supervisor._workers[0]._waiting


class Answering:
    """A channel to a supervisor that answers all questions with the same replies."""

    def __init__(self, replies):
        self.link = Link(self)
        self._replies = replies

    def send(self, message):
        asyncio.get_running_loop().call_soon(
            self.link.answered, {"id": message["id"], "replies": self._replies}
        )


async def test_link_when_some_process_replies_then_its_versions_are_told():
    link = Answering([{"result": [[2, 30, 0, ""]]}]).link
    assert await link.statuses(Wanted("m")) == [VersionStatus(2, 30, 0, "")]


@pytest.mark.parametrize("operation", ["statuses", "reload"])
async def test_link_when_no_process_replies_then_is_unavailable(operation):
    argument = Wanted("m")
    if operation == "reload":
        argument = model_server_config_pb2.ModelServerConfig()
    with pytest.raises(ServingError, match="no process of the server replies") as error:
        await getattr(Answering([]).link, operation)(argument)
    assert error.value.code is StatusCode.UNAVAILABLE


@pytest.fixture
def spawn_fails(monkeypatch):
    """Lets no process be started; returns an event that is set when that was tried twice."""
    tried_again = asyncio.Event()
    tries = []

    async def fail(*_, **__):
        tries.append(1)
        if len(tries) == 2:
            tried_again.set()
        raise BlockingIOError(11, "no more processes")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", fail)
    return tried_again


async def test_a_worker_when_no_process_can_be_run_in_its_place_then_is_tried_again_later(
    start, spawn_fails, capsys
):
    supervisor, _ = await start([])
    [worker] = supervisor._workers
    worker._has_served = True
    keeping = asyncio.ensure_future(worker.keep())
    await asyncio.wait_for(spawn_fails.wait(), 30)
    assert not keeping.done()
    assert "a worker cannot be run: [Errno 11] no more processes" in capsys.readouterr().err
    supervisor.stopping.set()
    await asyncio.wait_for(keeping, 30)


async def test_a_worker_when_the_first_process_cannot_be_run_then_the_start_fails(
    start, spawn_fails
):
    supervisor, _ = await start([])
    with pytest.raises(module.StartFailed, match=r"a worker cannot be run: .* no more processes"):
        await supervisor._workers[0].keep()


async def test_a_worker_when_the_server_stops_while_it_waits_to_start_then_waits_no_longer(
    start, spawn_fails, monkeypatch, capsys
):
    for delay in ("_FIRST_DELAY", "_LONGEST_DELAY"):
        monkeypatch.setattr(module, delay, 3600.0)
    supervisor, _ = await start([])
    [worker] = supervisor._workers
    worker._has_served = True
    keeping = asyncio.ensure_future(worker.keep())
    while "another starts in 3600 s" not in capsys.readouterr().err:
        await asyncio.sleep(0)
    supervisor.stopping.set()
    await asyncio.wait_for(keeping, 30)
