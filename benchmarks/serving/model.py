"""The model that requests are made to: small, as a server's own cost is what is measured."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

NAME = "pixels"
SIGNATURE = "serving_default"
INPUT = "image"
SHAPE = (28, 28)


@dataclass(frozen=True)
class Requests:
    """One row to predict, as each protocol's client sends it."""

    rest: bytes
    grpc: bytes

    @property
    def path(self) -> str:
        return f"/v1/models/{NAME}:predict"


def save_model(base: Path, seed: int = 0) -> Path:
    """Saves a small convolutional network of 28 x 28 pixels under `base`; returns its version."""
    import tensorflow as tf

    rng = np.random.default_rng(seed)

    def weights(*shape: int) -> tf.Variable:
        return tf.Variable(rng.normal(0, 0.1, shape).astype(np.float32))

    class Network(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = weights(3, 3, 1, 16), weights(3, 3, 16, 32)
            self.dense = weights(7 * 7 * 32, 10)

        @tf.function(input_signature=[tf.TensorSpec([None, *SHAPE], tf.float32, INPUT)])
        def scores(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
            x = tf.nn.relu(tf.nn.conv2d(image[..., tf.newaxis], self.first, 2, "SAME"))
            x = tf.nn.relu(tf.nn.conv2d(x, self.second, 2, "SAME"))
            x = tf.reshape(x, [-1, self.dense.shape[0]])
            return {"scores": tf.nn.softmax(tf.matmul(x, self.dense))}

    version = base / "1"
    network = Network()
    tf.saved_model.save(network, str(version), signatures={SIGNATURE: network.scores})
    return version


def make_requests(seed: int = 1) -> Requests:
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    image = np.random.default_rng(seed).random([1, *SHAPE], np.float32)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = NAME
    request.model_spec.signature_name = SIGNATURE
    request.inputs[INPUT].CopyFrom(tf.make_tensor_proto(image))
    # As a client's own JSON library would write the numbers of a picture.
    body = {"instances": image.round(4).astype(float).tolist()}
    return Requests(json.dumps(body).encode(), request.SerializeToString())
