"""The requests that a load is made of: one, asked over and over."""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass
from typing import Any

_PREDICT = "/tensorflow.serving.PredictionService/Predict"


@dataclass(frozen=True)
class RestCall:
    """A POST of JSON.

    Attributes:
        path: of the URL, such as `/v1/models/digits:predict`.
    """

    host: str
    port: int
    path: str
    body: bytes


@dataclass(frozen=True)
class GrpcCall:
    """A unary call.

    Attributes:
        target: `host:port`.
        body: the request's message, serialized.
    """

    target: str
    body: bytes
    method: str = _PREDICT


Call = RestCall | GrpcCall

_KINDS: dict[str, type[RestCall] | type[GrpcCall]] = {"rest": RestCall, "grpc": GrpcCall}


def to_json(call: Call) -> dict[str, Any]:
    """Returns a call as what JSON can hold."""
    kind = next(name for name, found in _KINDS.items() if isinstance(call, found))
    return {**asdict(call), "kind": kind, "body": base64.b64encode(call.body).decode()}


def from_json(values: dict[str, Any]) -> Call:
    """Returns the call that `to_json` made the values of."""
    fields = dict(values)
    kind = _KINDS[fields.pop("kind")]
    return kind(**{**fields, "body": base64.b64decode(fields["body"])})
