"""Large requests of both protocols while they are decoded: the others are answered."""

import asyncio
import contextlib
import threading

import grpc
import httpx
import numpy as np
import pytest
from grpc import StatusCode
from tensorflow_serving.apis import prediction_service_pb2_grpc

from serving.server import json_text, rest_json, tensors
from serving.server.admission import Admission
from serving.server.decoding import LARGE_BYTES, Decoder
from serving.server.errors import ServingError
from serving.server.grpc_server import GrpcServer
from serving.server.grpc_services import GrpcServices
from serving.server.peers import Alone
from serving.server.rest import RestApi
from tests.contract.clients import predict_request

PREDICT = "/v1/models/plain:predict"
SECONDS = 60


class Held:
    """A function that is held up in calls on other threads than the loop's, and in large ones."""

    def __init__(self, function, is_large):
        self._function = function
        self._is_large = is_large
        self.entered = threading.Event()
        self.released = threading.Event()

    def __call__(self, *arguments):
        if self._is_large(*arguments):
            self.entered.set()
            assert self.released.wait(SECONDS), "nothing else is done meanwhile"
        return self._function(*arguments)


@contextlib.asynccontextmanager
async def under_way(work, held):
    """Starts what is held up; it goes on, and must come to an end, when the context is left."""
    task = asyncio.create_task(work)
    await asyncio.to_thread(held.entered.wait, SECONDS)
    try:
        yield task
    finally:
        held.released.set()
        await asyncio.wait([task])


def rest_client(manager):
    application = RestApi(manager, Alone(manager), Admission(4))
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(application), base_url="http://server", timeout=SECONDS
    )


@pytest.mark.parametrize(
    ("parser", "path", "start"),
    [
        (rest_json, "plain:predict", b'{"instances": [[1, 2]]'),
        (json_text, "examples:classify", b'{"examples": [{}]'),
    ],
    ids=["predict", "classify"],
)
def test_a_large_body_when_it_is_parsed_then_others_are_answered(
    manager, loop, monkeypatch, parser, path, start
):
    held = Held(parser.parse, lambda body: len(body) >= LARGE_BYTES)
    monkeypatch.setattr(parser, "parse", held)

    async def run():
        async with rest_client(manager) as client:
            large = client.post(f"/v1/models/{path}", content=start + b" " * LARGE_BYTES + b"}")
            async with under_way(large, held) as task:
                small = await client.post(f"/v1/models/{path}", content=start + b"}")
                assert (small.status_code, task.done()) == (200, False)
            assert task.result().content == small.content

    loop.run_until_complete(run())


def test_a_large_body_when_its_tensors_are_made_then_others_are_answered(
    manager, loop, monkeypatch
):
    held = Held(rest_json.to_arrays, lambda request, dtypes: len(request.value) > 1)
    monkeypatch.setattr(rest_json, "to_arrays", held)

    async def run():
        async with rest_client(manager) as client:
            rows = b'{"instances": [' + b"[1, 2], " * (LARGE_BYTES // 8) + b"[1, 2]]}"
            async with under_way(client.post(PREDICT, content=rows), held) as task:
                small = await client.post(PREDICT, content=b'{"instances": [[1, 2]]}')
                assert (small.status_code, task.done()) == (200, False)
            assert task.result().status_code == 200

    loop.run_until_complete(run())


def test_a_large_tensor_when_it_is_decoded_then_others_are_answered(manager, loop, monkeypatch):
    held = Held(tensors.to_array, lambda tensor, alias: tensor.ByteSize() >= LARGE_BYTES)
    monkeypatch.setattr(tensors, "to_array", held)

    async def run():
        server = GrpcServer(GrpcServices(manager, Alone(manager), Admission(4)))
        port = await server.start("127.0.0.1", 0)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

            async def predict(rows):
                request = predict_request("plain", {"x": np.ones([rows, 2], np.float32)})
                answer = await stub.Predict(request, timeout=SECONDS)
                return len(answer.outputs["y"].float_val)

            async with under_way(predict(LARGE_BYTES // 8), held) as task:
                assert (await predict(1), task.done()) == (2, False)
            assert task.result() == LARGE_BYTES // 4
        await server.drain(0)

    loop.run_until_complete(run())


def test_large_work_when_given_up_then_makes_room_when_it_has_ended():
    async def run():
        decoder = Decoder(threads=1)
        held = Held(lambda size: size, lambda size: size == 1)
        first = decoder.run(LARGE_BYTES, held, 1)
        async with under_way(first, held) as task:
            task.cancel()
            waiting = [asyncio.create_task(decoder.run(LARGE_BYTES, held, 2)) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[0].cancel()
            assert await decoder.run(LARGE_BYTES - 1, held, 3) == 3
            assert not waiting[1].done()
        assert await asyncio.wait_for(asyncio.gather(*waiting[1:]), SECONDS) == [2, 2]

    asyncio.run(run())


def test_large_work_when_it_fails_then_raises():
    def refuse():
        raise ServingError(StatusCode.INVALID_ARGUMENT, "no")

    with pytest.raises(ServingError, match="no"):
        asyncio.run(Decoder().run(LARGE_BYTES, refuse))
