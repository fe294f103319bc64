"""The client for TF Serving's gRPC interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc
import numpy as np
from google.protobuf.message import DecodeError
from grpc import StatusCode

from serving.client.api import MESSAGES, VERSION_STATES
from serving.client.base import DEFAULT_TIMEOUT, ServingClient
from serving.client.errors import ServingClientError
from serving.client.metadata import (
    Metadata,
    Signature,
    Target,
    VersionStatus,
    signatures_of_protos,
)
from serving.client.retries import Deadline, RetryPolicy
from serving.client.tls import TLS
from serving.tensor_protos import InvalidTensor, fill_proto, to_array

_PREDICTION = "/tensorflow.serving.PredictionService"
_MODEL = "/tensorflow.serving.ModelService"
# Method -> path, request, response.
_METHODS = {
    "Predict": (_PREDICTION, "PredictRequest", "PredictResponse"),
    "Classify": (_PREDICTION, "ClassificationRequest", "ClassificationResponse"),
    "Regress": (_PREDICTION, "RegressionRequest", "RegressionResponse"),
    "GetModelMetadata": (_PREDICTION, "GetModelMetadataRequest", "GetModelMetadataResponse"),
    "GetModelStatus": (_MODEL, "GetModelStatusRequest", "GetModelStatusResponse"),
}
_OPTIONS = [
    # gRPC's default of 4 MiB is less than a batch of pictures.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # RetryPolicy alone decides when to ask again ...
    ("grpc.enable_retries", 0),
    # ... which is of use only if the channel has tried to connect again by then.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


class GrpcClient(ServingClient):
    """Asks over one HTTP/2 connection that is kept; see ServingClient.

    Args:
        target: of the server, `host:8500`.
        tls: None for a connection in the clear.
    """

    def __init__(
        self,
        target: str,
        model: str,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        retry: RetryPolicy | None = None,
        tls: TLS | None = None,
    ) -> None:
        super().__init__(target, model, timeout=timeout, retry=retry)
        if tls is None:
            self._channel = grpc.insecure_channel(target, _OPTIONS)
        else:
            self._channel = grpc.secure_channel(target, tls.channel_credentials(), _OPTIONS)
        self._methods = {
            name: self._channel.unary_unary(
                f"{service}/{name}",
                request_serializer=MESSAGES[request].SerializeToString,
                response_deserializer=MESSAGES[response].FromString,
            )
            for name, (service, request, response) in _METHODS.items()
        }

    def close(self) -> None:
        self._channel.close()

    def _predict(
        self,
        target: Target,
        name: str,
        signature: Signature,
        arrays: Mapping[str, np.ndarray],
        within: Deadline,
    ) -> dict[str, np.ndarray]:
        request = MESSAGES["PredictRequest"](model_spec=_spec(target, name))
        for alias, array in arrays.items():
            fill_proto(request.inputs[alias], array)
        answer = self._ask("Predict", request, within)
        try:
            return {alias: to_array(answer.outputs[alias]) for alias in sorted(answer.outputs)}
        except InvalidTensor as error:
            raise ServingClientError(StatusCode.INTERNAL, f"answer: {error}") from error

    def _classify(
        self, target: Target, name: str | None, examples: list[Any], context: Any, within: Deadline
    ) -> list[list[tuple[str, float]]]:
        request = MESSAGES["ClassificationRequest"](
            model_spec=_spec(target, name), input=_input(examples, context)
        )
        answer = self._ask("Classify", request, within)
        return [
            [(found.label, found.score) for found in row.classes]
            for row in answer.result.classifications
        ]

    def _regress(
        self, target: Target, name: str | None, examples: list[Any], context: Any, within: Deadline
    ) -> list[float]:
        request = MESSAGES["RegressionRequest"](
            model_spec=_spec(target, name), input=_input(examples, context)
        )
        answer = self._ask("Regress", request, within)
        return [found.value for found in answer.result.regressions]

    def _get_metadata(self, target: Target, within: Deadline) -> Metadata:
        request = MESSAGES["GetModelMetadataRequest"](
            model_spec=_spec(target), metadata_field=["signature_def"]
        )
        answer = self._ask("GetModelMetadata", request, within)
        try:
            definitions = MESSAGES["SignatureDefMap"].FromString(
                answer.metadata["signature_def"].value
            )
        except DecodeError as error:
            raise ServingClientError(StatusCode.INTERNAL, f"metadata: {error}") from error
        return Metadata(
            answer.model_spec.name,
            answer.model_spec.version.value,
            signatures_of_protos(definitions.signature_def),
        )

    def _status(self, target: Target, within: Deadline) -> list[VersionStatus]:
        request = MESSAGES["GetModelStatusRequest"](model_spec=_spec(target))
        answer = self._ask("GetModelStatus", request, within)
        return [
            VersionStatus(
                status.version,
                VERSION_STATES.get(status.state, "UNKNOWN"),
                status.status.error_code,
                status.status.error_message,
            )
            for status in answer.model_version_status
        ]

    def _ask(self, method: str, request: Any, within: Deadline) -> Any:
        try:
            return self._methods[method](request, timeout=within.remaining())
        except grpc.RpcError as error:
            message = error.details() or ""
            if error.code() == StatusCode.UNAVAILABLE:
                message = f"{self.endpoint}: {message}"
            # The limit of a message's size has the code of a server that has too much to do.
            is_too_large = "larger than max" in message
            raise ServingClientError(
                error.code(), message, is_transient=False if is_too_large else None
            ) from error


def _spec(target: Target, signature: str | None = None) -> Any:
    spec = MESSAGES["ModelSpec"](name=target.model, signature_name=signature or "")
    if target.version is not None:
        spec.version.value = target.version
    if target.label:
        spec.version_label = target.label
    return spec


def _input(examples: list[Any], context: Any) -> Any:
    if context is None:
        return MESSAGES["Input"](example_list={"examples": examples})
    return MESSAGES["Input"](example_list_with_context={"examples": examples, "context": context})
