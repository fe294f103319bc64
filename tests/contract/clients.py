"""The two protocols, as plainly as they can be spoken: nothing is tidied up on the way out."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_status_pb2,
    input_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

TIMEOUT = 60.0


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The message of an error; the body has nothing else."""
        assert self.headers["content-type"].split(";")[0] == "application/json", self
        found = self.json
        assert list(found) == ["error"], self
        assert isinstance(found["error"], str) and found["error"], self
        return found["error"]


class Rest:
    """Sends paths and bodies as they are, each on a connection of its own."""

    def __init__(self, url: str) -> None:
        self.address = urlsplit(url).netloc

    def request(self, method: str, path: str, body: Any = None) -> Answer:
        """Args:
        body: bytes or text as it is; anything else as JSON.
        """
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        connection = http.client.HTTPConnection(self.address, timeout=TIMEOUT)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, headers, answer.read())
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        return self.request("GET", path)

    def post(self, path: str, body: Any = None) -> Answer:
        return self.request("POST", path, body)

    def predict(self, model: str, body: Any, verb: str = "predict") -> Answer:
        """Args:
        model: its name, and `/versions/V` or `/labels/L` after it if wanted.
        """
        return self.post(f"/v1/models/{model}:{verb}", body)


class Grpc:
    """The stubs of both services, and requests made from arrays."""

    def __init__(self, target: str, credentials: grpc.ChannelCredentials | None = None) -> None:
        # A channel of its own for each: the library would share connections of equal channels.
        options = [("grpc.use_local_subchannel_pool", 1)]
        self.channel = (
            grpc.secure_channel(target, credentials, options)
            if credentials
            else grpc.insecure_channel(target, options)
        )
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def predict(
        self, model: str, inputs: Mapping[str, Any], timeout: float = TIMEOUT, **spec: Any
    ) -> predict_pb2.PredictResponse:
        return self.prediction.Predict(predict_request(model, inputs, **spec), timeout)

    def status(self, model: str, **spec: Any) -> dict[int, int]:
        """Returns the state of each version, in the order of the answer."""
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=model_spec(model, **spec))
        found = self.models.GetModelStatus(request, TIMEOUT).model_version_status
        return {entry.version: entry.state for entry in found}

    def close(self) -> None:
        self.channel.close()


def model_spec(
    model: str, signature: str = "", version: int | None = None, label: str = ""
) -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=model, signature_name=signature)
    if version is not None:
        spec.version.value = version
    if label:
        spec.version_label = label
    return spec


def predict_request(
    model: str, inputs: Mapping[str, Any], output_filter: Iterable[str] = (), **spec: Any
) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest(
        model_spec=model_spec(model, **spec), output_filter=output_filter
    )
    for alias, value in inputs.items():
        request.inputs[alias].CopyFrom(tf.make_tensor_proto(value))
    return request


def example(**features: float) -> tf.train.Example:
    return tf.train.Example(
        features=tf.train.Features(
            feature={
                name: tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
                for name, value in features.items()
            }
        )
    )


def example_list(*examples: tf.train.Example) -> input_pb2.Input:
    return input_pb2.Input(example_list=input_pb2.ExampleList(examples=examples))


def arrays(response: predict_pb2.PredictResponse) -> dict[str, np.ndarray]:
    """Returns the outputs of an answer."""
    return {alias: tf.make_ndarray(tensor) for alias, tensor in response.outputs.items()}
