"""A model behind REST and gRPC on loopback, that answers as TF Serving does and fails on demand."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import numpy as np

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip
from google.protobuf import json_format  # isort: skip
from tensorflow.core.protobuf import meta_graph_pb2  # isort: skip
from tensorflow_serving.apis import (  # isort: skip
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
    model_service_pb2_grpc,
    regression_pb2,
)


def info(dtype: tf.DType, shape: list[int] | None) -> meta_graph_pb2.TensorInfo:
    return meta_graph_pb2.TensorInfo(
        name="t:0", dtype=dtype.as_datatype_enum, tensor_shape=tf.TensorShape(shape).as_proto()
    )


class Model:
    """`x` [b, 2], `n` [b] and `word` [b] to answers of every kind; classifies and regresses.

    Attributes:
        faults: what the next requests meet, one each: an error, `reset` (the connection breaks),
            `hang` (no answer until the test ends), `drip` and `drip headers` (an answer that takes
            ten seconds), or bytes, which REST answers as they are.
        has_dripped: whether what drips is out to the last byte.
        asked: (method, model, version, label, signature) of each request that came.
        output: name of the answer to the signature `one`.
        dtype: of that answer.
    """

    def __init__(self) -> None:
        self.faults: list[Any] = []
        self.has_dripped = False
        self.asked: list[tuple] = []
        self.connections: set[Any] = set()
        self.states: list[tuple[int, int, int, str]] = [(2, 20, 0, ""), (1, 30, 0, "")]
        self.output = "only"
        self.dtype = tf.float32
        self.over = threading.Event()

    def next_fault(self) -> Any:
        return self.faults.pop(0) if self.faults else None

    @property
    def signatures(self) -> dict[str, meta_graph_pb2.SignatureDef]:
        inputs = {
            "x": info(tf.float32, [None, 2]),
            "n": info(tf.int64, [None]),
            "word": info(tf.string, [None]),
        }
        outputs = {
            "sum": info(tf.float32, [None]),
            "twice": info(tf.float32, [None, 2]),
            "n": info(tf.int64, [None]),
            "is_even": info(tf.bool, [None]),
            "word": info(tf.string, [None]),
            "word_bytes": info(tf.string, [None]),
        }
        method = "tensorflow/serving/predict"
        return {
            "serving_default": meta_graph_pb2.SignatureDef(
                inputs=inputs, outputs=outputs, method_name=method
            ),
            "one": meta_graph_pb2.SignatureDef(
                inputs={"x": inputs["x"]},
                outputs={self.output: info(self.dtype, [None])},
                method_name=method,
            ),
        }

    def predict(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        for name, value in self.signatures[signature].inputs.items():
            dtype = tf.as_dtype(value.dtype).as_numpy_dtype
            assert inputs[name].dtype == dtype, (name, inputs[name].dtype)
        x = inputs["x"]
        if signature == "one":
            return {self.output: x.sum(1).astype(self.dtype.as_numpy_dtype)}
        words = inputs["word"]
        return {
            "sum": x.sum(1),
            "twice": x * np.float32(2),
            "n": inputs["n"],
            "is_even": inputs["n"] % 2 == 0,
            "word": words,
            "word_bytes": words,
        }

    def classes(self, examples: list[tf.train.Example]) -> list[list[tuple[str, float]]]:
        scores = [example.features.feature["x"].float_list.value[0] for example in examples]
        return [[("é", float(score)), ("no", 0.5)] for score in scores]


def read_json(value: Any, dtype: tf.DType) -> np.ndarray:
    if dtype != tf.string:
        array = np.array(value)
        # TF Serving takes no fraction for an integer.
        assert dtype.is_floating or array.dtype.kind in "iu" or not array.size
        return array.astype(dtype.as_numpy_dtype)
    return np.array([base64.b64decode(item["b64"]) for item in value], object)


def write_json(name: str, array: np.ndarray) -> Any:
    if array.dtype != object:
        return array.tolist()
    if name.endswith("_bytes"):
        return [{"b64": base64.b64encode(item).decode()} for item in array]
    return [item.decode() for item in array]


def read_example(features: dict[str, Any]) -> tf.train.Example:
    example = tf.train.Example()
    for name, values in features.items():
        if isinstance(values[0], dict):
            decoded = [base64.b64decode(value["b64"]) for value in values]
            example.features.feature[name].bytes_list.value.extend(decoded)
        elif isinstance(values[0], float):
            example.features.feature[name].float_list.value.extend(values)
        else:
            example.features.feature[name].int64_list.value.extend(values)
    return example


class RestHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model: Model

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def log_message(self, *arguments: Any) -> None:
        pass

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        model = self.model
        model.connections.add(self.client_address)
        found = re.fullmatch(
            r"/v1/models/([^/:]+)(?:/versions/(\d+))?(?:/labels/([^/:]+))?(/metadata|:\w+)?",
            self.path,
        )
        assert found, self.path
        name, version, label, verb = found.groups()
        verb = verb[1:] if verb else "status"
        request = json.loads(body) if body else {}
        model.asked.append(
            (verb, name, int(version) if version else None, label, request.get("signature_name"))
        )
        fault = model.next_fault()
        if fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
        elif fault == "hang":
            model.over.wait()
            self.close_connection = True
        elif fault in ("drip", "drip headers"):
            self.drip(in_headers=fault == "drip headers")
        elif isinstance(fault, bytes):
            self.send(200, fault)
        elif fault is not None:
            status, message, headers = fault
            body = (
                message if isinstance(message, bytes) else json.dumps({"error": message}).encode()
            )
            self.send(status, body, headers)
        elif name != "model":
            error = f"Servable not found for request: Latest({name})"
            self.send(404, json.dumps({"error": error}).encode())
        else:
            self.send(200, json.dumps(getattr(self, verb)(request)).encode())

    def send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def drip(self, in_headers: bool) -> None:
        """Answers one byte at a time, each well within what a client may wait for a byte."""
        body = json.dumps(self.status({})).encode().ljust(500)
        headers = b"HTTP/1.1 200 OK\r\nX-Drop: " + b"x" * 500 + b"\r\n"
        headers += f"Content-Length: {len(body)}\r\n\r\n".encode()
        slow, fast = (headers, body) if in_headers else (body, b"")
        if not in_headers:
            self.wfile.write(headers)
        self.close_connection = True
        with contextlib.suppress(OSError):
            for byte in slow:
                if self.model.over.wait(0.02):
                    return
                self.wfile.write(bytes([byte]))
            self.model.has_dripped = True
            self.wfile.write(fast)

    def status(self, request: dict) -> dict:
        return {
            "model_version_status": [
                {
                    "version": str(version),
                    "state": get_model_status_pb2.ModelVersionStatus.State.Name(state),
                    "status": {
                        "error_code": "NOT_FOUND" if code == 5 else "OK",
                        "error_message": message,
                    },
                }
                for version, state, code, message in self.model.states
            ]
        }

    def metadata(self, request: dict) -> dict:
        definitions = {
            name: json_format.MessageToDict(
                definition, including_default_value_fields=True, preserving_proto_field_name=True
            )
            for name, definition in self.model.signatures.items()
        }
        return {
            "model_spec": {"name": "model", "signature_name": "", "version": "2"},
            "metadata": {"signature_def": {"signature_def": definitions}},
        }

    def predict(self, request: dict) -> dict:
        name = request["signature_name"]
        definition = self.model.signatures[name]
        inputs = {
            alias: read_json(value, tf.as_dtype(definition.inputs[alias].dtype))
            for alias, value in request["inputs"].items()
        }
        outputs = self.model.predict(name, inputs)
        written = {alias: write_json(alias, array) for alias, array in outputs.items()}
        return {"outputs": written if len(written) > 1 else next(iter(written.values()))}

    def classify(self, request: dict) -> dict:
        return {"results": self.model.classes(self.examples(request))}

    def regress(self, request: dict) -> dict:
        return {"results": [row[0][1] for row in self.model.classes(self.examples(request))]}

    def examples(self, request: dict) -> list[tf.train.Example]:
        context = read_example(request.get("context", {}))
        examples = [read_example(example) for example in request["examples"]]
        for example in examples:
            example.MergeFrom(context)
        return examples


class GrpcService(
    prediction_service_pb2_grpc.PredictionServiceServicer,
    model_service_pb2_grpc.ModelServiceServicer,
):
    def __init__(self, model: Model) -> None:
        self.model = model

    def came(self, method: str, spec: Any, context: grpc.ServicerContext) -> None:
        version = spec.version.value if spec.HasField("version") else None
        self.model.connections.add(context.peer())
        self.model.asked.append(
            (method, spec.name, version, spec.version_label or None, spec.signature_name or None)
        )
        fault = self.model.next_fault()
        if fault in ("hang", "drip", "drip headers"):
            self.model.over.wait()
        if fault == "reset":
            context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
        if isinstance(fault, tuple):
            context.abort(*fault)
        if spec.name != "model":
            error = f"Servable not found for request: Latest({spec.name})"
            context.abort(grpc.StatusCode.NOT_FOUND, error)

    def Predict(self, request, context):
        self.came("predict", request.model_spec, context)
        outputs = self.model.predict(
            request.model_spec.signature_name,
            {name: tf.make_ndarray(value) for name, value in request.inputs.items()},
        )
        answer = predict_pb2.PredictResponse()
        for name, array in outputs.items():
            # Values one by one, as TF Serving answers.
            answer.outputs[name].CopyFrom(
                tf.make_tensor_proto(array.tolist(), tf.as_dtype(array.dtype), array.shape)
            )
        return answer

    def Classify(self, request, context):
        self.came("classify", request.model_spec, context)
        answer = classification_pb2.ClassificationResponse()
        for row in self.model.classes(self.examples(request)):
            added = answer.result.classifications.add()
            for label, score in row:
                added.classes.add(label=label, score=score)
        return answer

    def Regress(self, request, context):
        self.came("regress", request.model_spec, context)
        answer = regression_pb2.RegressionResponse()
        for row in self.model.classes(self.examples(request)):
            answer.result.regressions.add(value=row[0][1])
        return answer

    def GetModelMetadata(self, request, context):
        self.came("metadata", request.model_spec, context)
        assert list(request.metadata_field) == ["signature_def"]
        definitions = get_model_metadata_pb2.SignatureDefMap()
        for name, definition in self.model.signatures.items():
            definitions.signature_def[name].CopyFrom(definition)
        answer = get_model_metadata_pb2.GetModelMetadataResponse()
        answer.model_spec.name = "model"
        answer.model_spec.version.value = 2
        answer.metadata["signature_def"].Pack(definitions)
        return answer

    def GetModelStatus(self, request, context):
        self.came("status", request.model_spec, context)
        answer = get_model_status_pb2.GetModelStatusResponse()
        for version, state, code, message in self.model.states:
            status = answer.model_version_status.add(version=version, state=state)
            status.status.error_code = code
            status.status.error_message = message
        return answer

    @staticmethod
    def examples(request: Any) -> list[Any]:
        if request.input.WhichOneof("kind") == "example_list":
            return list(request.input.example_list.examples)
        given = request.input.example_list_with_context
        for example in given.examples:
            example.MergeFrom(given.context)
        return list(given.examples)


@contextlib.contextmanager
def rest_server(
    model: Model, context: ssl.SSLContext | None = None, port: int = 0
) -> Iterator[int]:
    server = ThreadingHTTPServer(
        ("127.0.0.1", port), type("Handler", (RestHandler,), {"model": model})
    )
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        model.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def grpc_server(model: Model, credentials: Any = None, port: int = 0) -> Iterator[int]:
    server = grpc.server(ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
    service = GrpcService(model)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(service, server)
    address = f"127.0.0.1:{port}"
    if credentials is None:
        bound = server.add_insecure_port(address)
    else:
        bound = server.add_secure_port(address, credentials)
    server.start()
    try:
        yield bound
    finally:
        model.over.set()
        server.stop(None).wait()
