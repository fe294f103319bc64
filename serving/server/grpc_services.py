"""TF Serving's gRPC services, PredictionService and ModelService, on grpc.aio.

Messages are parsed here rather than by grpc, so that a broken one is the client's error and no
traceback in the log.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import grpc
import numpy as np
from google.protobuf.message import DecodeError
from grpc import StatusCode
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

from serving.server import answers, examples, tensors
from serving.server.admission import Admission
from serving.server.decoding import Decoder
from serving.server.errors import ServingError, invalid_argument
from serving.server.manager import ModelManager, Wanted
from serving.server.metrics import Metrics
from serving.server.peers import Peers
from serving.server.servable import Servable

_LOG = logging.getLogger(__name__)

_LONGEST_MESSAGE = 4000
"""Bytes of an error on the wire: it travels in the trailers, of which clients take 8 KB."""

_AS_THEY_ARE = frozenset(range(0x20, 0x7F)) - {ord("%")}


class _Method(NamedTuple):
    request: Any
    answer: Callable[[Any, int], Awaitable[Any]]
    """From the request, and its size in bytes, to a message or one that is serialized."""
    model: Callable[[Any], str]


class GrpcServices:
    """Both services.

        server.add_generic_rpc_handlers(services.handlers())

    Args:
        metrics: None for none.
    """

    def __init__(
        self,
        manager: ModelManager,
        peers: Peers,
        admission: Admission,
        metrics: Metrics | None = None,
    ) -> None:
        self._manager = manager
        self._peers = peers
        self._admission = admission
        self._decoder = Decoder()
        self._metrics = metrics

    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """Returns the handlers for a grpc.aio server."""
        prediction = {
            "Predict": _Method(predict_pb2.PredictRequest, self._predict, _model),
            "Classify": _Method(classification_pb2.ClassificationRequest, self._classify, _model),
            "Regress": _Method(regression_pb2.RegressionRequest, self._regress, _model),
            "MultiInference": _Method(
                inference_pb2.MultiInferenceRequest, self._multi_inference, _model_of_tasks
            ),
            "GetModelMetadata": _Method(
                get_model_metadata_pb2.GetModelMetadataRequest, self._get_model_metadata, _model
            ),
        }
        management = {
            "GetModelStatus": _Method(
                get_model_status_pb2.GetModelStatusRequest, self._get_model_status, _model
            ),
            "HandleReloadConfigRequest": _Method(
                model_management_pb2.ReloadConfigRequest, self._reload, lambda request: ""
            ),
        }
        return (
            self._handler("tensorflow.serving.PredictionService", prediction),
            self._handler("tensorflow.serving.ModelService", management),
        )

    def _handler(self, service: str, methods: dict[str, _Method]) -> grpc.GenericRpcHandler:
        return grpc.method_handlers_generic_handler(
            service,
            {
                name: grpc.unary_unary_rpc_method_handler(self._unary(name, method))
                for name, method in methods.items()
            },
        )

    def _unary(
        self, name: str, method: _Method
    ) -> Callable[[bytes, grpc.aio.ServicerContext], Awaitable[bytes]]:
        async def call(message: bytes, context: grpc.aio.ServicerContext) -> bytes:
            started = time.perf_counter()
            code, details, model, answer = StatusCode.OK, "", "", b""
            try:
                with self._admission.request() as admitted:
                    admitted.add(len(message))
                    parse = method.request.FromString
                    request = await self._decoder.run(len(message), parse, message)
                    model = method.model(request)
                    reply = await method.answer(request, len(message))
                    answer = reply if isinstance(reply, bytes) else reply.SerializeToString()
            except ServingError as error:
                code, details = error.code, _cut(error.message)
            except DecodeError as error:
                code = StatusCode.INVALID_ARGUMENT
                details = f"{method.request.DESCRIPTOR.name}: {error}"
            except Exception:
                _LOG.exception("%s", name)
                code = StatusCode.INTERNAL
                details = "internal error; the server's log has more"
            if self._metrics is not None:
                seconds = time.perf_counter() - started
                self._metrics.request(model, name, "GRPC", code.name, seconds)
            if code is not StatusCode.OK:
                await context.abort(code, details)
            return answer

        return call

    async def _predict(self, request: Any, size: int) -> bytes:
        wanted = _wanted(request)
        with self._manager.lease(wanted) as servable:
            name = request.model_spec.signature_name or answers.DEFAULT_SIGNATURE
            signature = servable.signatures.get(name)
            if signature is None:
                raise ServingError(
                    StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.'
                )
            wanted_outputs = _output_filter(request.output_filter, signature)
            arrays = await self._decoder.run(size, _arrays, request.inputs)
            outputs = await servable.run(name, arrays, wanted_outputs)
            return tensors.encode_response(servable.name, servable.version, name, outputs)

    async def _classify(self, request: Any, size: int) -> Any:
        servable, name, classes = await self._inferred(examples.classify, request, size)
        response = classification_pb2.ClassificationResponse()
        _fill_spec(response.model_spec, servable, name)
        _fill_classes(response.result, classes)
        return response

    async def _regress(self, request: Any, size: int) -> Any:
        servable, name, values = await self._inferred(examples.regress, request, size)
        response = regression_pb2.RegressionResponse()
        _fill_spec(response.model_spec, servable, name)
        for value in values.tolist():
            response.result.regressions.add(value=value)
        return response

    async def _inferred(
        self, infer: Callable[..., Awaitable[Any]], request: Any, size: int
    ) -> tuple[Servable, str, Any]:
        """Returns what a signature says of a request's examples, and whose it is."""
        with self._manager.lease(_wanted(request)) as servable:
            name = request.model_spec.signature_name or answers.DEFAULT_SIGNATURE
            serialized = await self._examples(request, size)
            found = await infer(servable, name, serialized)
            self._count_examples(servable, len(serialized))
            return servable, name, found

    async def _multi_inference(self, request: Any, size: int) -> Any:
        tasks = list(request.tasks)
        if not tasks or not tasks[0].HasField("model_spec"):
            raise invalid_argument("Missing ModelSpec")
        if any(not task.model_spec.name for task in tasks):
            raise invalid_argument("Found ModelSpec with an empty model name.")
        if len({task.model_spec.name for task in tasks}) > 1:
            raise invalid_argument(
                "All ModelSpecs in a MultiInferenceRequest must access the same model name."
            )
        with self._manager.lease(_wanted(tasks[0])) as servable:
            names = [task.model_spec.signature_name or answers.DEFAULT_SIGNATURE for task in tasks]
            methods = [task.method_name for task in tasks]
            serialized = await self._examples(request, size)
            results = await examples.infer(
                servable, list(zip(names, methods, strict=True)), serialized
            )
            self._count_examples(servable, len(serialized))
            response = inference_pb2.MultiInferenceResponse()
            for name, result in zip(names, results, strict=True):
                added = response.results.add()
                _fill_spec(added.model_spec, servable, name)
                if isinstance(result, examples.Classes):
                    _fill_classes(added.classification_result, result)
                else:
                    for value in result.tolist():
                        added.regression_result.regressions.add(value=value)
            return response

    async def _get_model_metadata(self, request: Any, _: int) -> Any:
        wanted = _wanted(request)
        if not request.metadata_field:
            raise invalid_argument(
                "GetModelMetadataRequest must specify at least one metadata_field"
            )
        for field in request.metadata_field:
            if field != answers.METADATA_FIELD:
                raise invalid_argument(f"Metadata field {field} is not supported")
        with self._manager.lease(wanted) as servable:
            return answers.metadata(servable)

    async def _get_model_status(self, request: Any, _: int) -> Any:
        return answers.model_status(await self._peers.statuses(_wanted(request)))

    async def _reload(self, request: Any, _: int) -> Any:
        if request.config.WhichOneof("config") != "model_config_list":
            raise invalid_argument(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. Only "
                "ModelConfigList is currently supported"
            )
        await self._peers.reload(request.config)
        response = model_management_pb2.ReloadConfigResponse()
        response.status.SetInParent()
        return response

    async def _examples(self, request: Any, size: int) -> Any:
        return await self._decoder.run(size, examples.serialized_examples, request.input)

    def _count_examples(self, servable: Servable, count: int) -> None:
        if self._metrics is not None:
            self._metrics.examples(servable.name, count)


def _cut(message: str) -> str:
    """Returns an error's start, as far as the trailers hold it.

    They have a letter in UTF-8, and of that each byte but ASCII's in three: `%E9`.
    """
    size = 0
    for index, letter in enumerate(message[:_LONGEST_MESSAGE]):
        size += sum(1 if byte in _AS_THEY_ARE else 3 for byte in letter.encode(errors="replace"))
        if size > _LONGEST_MESSAGE:
            return message[:index]
    return message[:_LONGEST_MESSAGE]


def _model(request: Any) -> str:
    return request.model_spec.name


def _model_of_tasks(request: Any) -> str:
    return request.tasks[0].model_spec.name if request.tasks else ""


def _wanted(request: Any) -> Wanted:
    """Returns what a request's ModelSpec asks for."""
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
    spec = request.model_spec
    if not spec.name:
        raise invalid_argument("ModelSpec has no name specified.")
    choice = spec.WhichOneof("version_choice")
    return Wanted(
        spec.name,
        spec.version.value if choice == "version" else None,
        spec.version_label if choice == "version_label" else None,
    )


def _arrays(inputs: Any) -> dict[str, np.ndarray]:
    """Returns a PredictRequest's inputs."""
    return {alias: tensors.to_array(inputs[alias], alias) for alias in inputs}


def _output_filter(wanted: Sequence[str], signature: Any) -> list[str] | None:
    """Returns the outputs that a request names, None for all."""
    if not wanted:
        return None
    outputs = signature.outputs
    seen: set[str] = set()
    for alias in wanted:
        if alias not in outputs:
            raise invalid_argument(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in "
                f"the set {{{','.join(sorted(outputs))}}}."
            )
        if alias in seen:
            raise invalid_argument(f"duplicate output tensor alias: {alias}")
        seen.add(alias)
    return list(wanted)


def _fill_spec(spec: Any, servable: Servable, signature: str) -> None:
    spec.name = servable.name
    spec.version.value = servable.version
    spec.signature_name = signature


def _fill_classes(result: Any, classes: examples.Classes) -> None:
    """Writes a ClassificationResult; what is missing of labels and scores stays unset."""
    labels, scores = classes
    shape = (labels if labels is not None else scores).shape  # type: ignore[union-attr]
    for row in range(shape[0]):
        added = result.classifications.add()
        for column in range(shape[1]):
            found = added.classes.add()
            if labels is not None:
                found.label = labels[row, column].decode(errors="replace")
            if scores is not None:
                found.score = scores[row, column]
