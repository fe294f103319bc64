"""The gRPC server reads so many calls of one connection at a time, and no more."""

import asyncio

import grpc
import pytest
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

from serving.server.admission import Admission
from serving.server.grpc_server import GrpcServer
from serving.server.grpc_services import GrpcServices
from serving.server.manager import VersionStatus

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


class HeldPeers:
    """Answers when it is let go."""

    def __init__(self):
        self.asked = asyncio.Queue()
        self.gate = asyncio.Event()

    async def statuses(self, wanted):
        self.asked.put_nowait(wanted)
        await self.gate.wait()
        return [VersionStatus(1, 30, 0, "")]


async def test_calls_when_one_connection_has_too_many_then_the_next_wait_and_others_do_not():
    peers = HeldPeers()
    server = GrpcServer(GrpcServices(None, peers, Admission(200)), max_calls=100)
    port = await server.start("127.0.0.1", 0)
    async with channel(port) as one, channel(port) as other:
        held = [begin(one, "one") for _ in range(101)]
        for _ in range(100):
            await asyncio.wait_for(peers.asked.get(), 60)
        beside = begin(other, "other")
        assert (await asyncio.wait_for(peers.asked.get(), 60)).name == "other"
        assert peers.asked.empty()
        peers.gate.set()
        answers = await asyncio.gather(*held, beside)
        assert all(len(answer.model_version_status) == 1 for answer in answers)
    await server.drain(1)


def channel(port):
    """Returns a channel with a connection of its own."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    return grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options)


def begin(channel, name):
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = name
    return model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request, timeout=60)
