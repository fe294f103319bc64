"""The answers about models that REST and gRPC share, as TF Serving's messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2

from serving.server.servable import Servable
from serving.server.versions import VersionStatus

DEFAULT_SIGNATURE = "serving_default"
METADATA_FIELD = "signature_def"


def model_status(statuses: Iterable[VersionStatus]) -> Any:
    """Returns a GetModelStatusResponse."""
    response = get_model_status_pb2.GetModelStatusResponse()
    for status in statuses:
        added = response.model_version_status.add(version=status.version, state=status.state)
        added.status.error_code = status.error_code
        added.status.error_message = status.error_message
    return response


def metadata(servable: Servable) -> Any:
    """Returns a GetModelMetadataResponse with the signatures."""
    response = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=_model_spec(servable))
    response.metadata[METADATA_FIELD].Pack(_signature_map(servable))
    return response


def status_json(statuses: Iterable[VersionStatus]) -> dict[str, Any]:
    """Returns the REST answer to a status request."""
    return _as_json(model_status(statuses))


def metadata_json(servable: Servable) -> dict[str, Any]:
    """Returns the REST answer to a metadata request; 64-bit integers are strings."""
    return {
        "model_spec": _as_json(_model_spec(servable)),
        "metadata": {METADATA_FIELD: _as_json(_signature_map(servable))},
    }


def _model_spec(servable: Servable) -> Any:
    spec = model_pb2.ModelSpec(name=servable.name)
    spec.version.value = servable.version
    return spec


def _signature_map(servable: Servable) -> Any:
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for name, signature in servable.signatures.items():
        signatures.signature_def[name].CopyFrom(signature)
    return signatures


def _as_json(message: Any) -> dict[str, Any]:
    return json_format.MessageToDict(
        message, including_default_value_fields=True, preserving_proto_field_name=True
    )
