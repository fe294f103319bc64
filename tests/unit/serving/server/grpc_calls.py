"""The gRPC services on a real channel in this process: requests, and what refuses them."""

import contextlib

import grpc
import pytest
import tensorflow as tf
from google.protobuf import json_format
from grpc import StatusCode
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving.server.errors import ServingError
from serving.server.grpc_server import GrpcServer
from serving.server.grpc_services import GrpcServices
from serving.server.peers import Alone

SPEC = {"name": "plain"}


class Peers(Alone):
    """Takes notes of what is reloaded; `bad` is refused."""

    def __init__(self, manager):
        super().__init__(manager)
        self.reloaded = []

    async def reload(self, config):
        if any(model.name == "bad" for model in config.model_config_list.config):
            raise ServingError(StatusCode.INVALID_ARGUMENT, "bad")
        self.reloaded.append(config)


@contextlib.contextmanager
def calls(manager, loop, peers, admission):
    """Gives a function that makes a call: method, request message or bytes."""
    services = GrpcServices(manager, peers, admission)

    async def start():
        server = GrpcServer(services, max_message_bytes=100_000)
        port = await server.start("127.0.0.1", 0)
        return server, grpc.aio.insecure_channel(f"127.0.0.1:{port}")

    server, channel = loop.run_until_complete(start())
    stubs = (
        prediction_service_pb2_grpc.PredictionServiceStub(channel),
        model_service_pb2_grpc.ModelServiceStub(channel),
    )

    def make(method, request, timeout=60):
        async def ask():
            if isinstance(request, bytes):
                path = f"/tensorflow.serving.PredictionService/{method}"
                return await channel.unary_unary(path)(request, timeout=timeout)
            stub = next(stub for stub in stubs if hasattr(stub, method))
            return await getattr(stub, method)(request, timeout=timeout)

        return loop.run_until_complete(ask())

    yield make
    loop.run_until_complete(channel.close())
    loop.run_until_complete(server.drain(1))


def refusal(call, code, method, request, **options):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        call(method, request, **options)
    assert caught.value.code() is code, caught.value
    return caught.value.details()


def predict(spec=SPEC, outputs=(), **inputs):
    request = predict_pb2.PredictRequest(output_filter=outputs)
    if spec is not None:
        json_format.ParseDict(spec, request.model_spec)
        request.model_spec.SetInParent()
    for alias, array in inputs.items():
        request.inputs[alias].CopyFrom(tf.make_tensor_proto(array))
    return request
